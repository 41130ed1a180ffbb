"""Pictures in shards: read by their offset and decoded in the same way as files. Letters: N pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from tlearn.base.errors import TlearnError, one_line
from tlearn.data.decoding.decode import deep_samples_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples
from tlearn.data.files.reading import Framing, UnreadableImageError, decoded, reason_of
from tlearn.data.images.keyed_random import keys_of_names
from tlearn.data.images.on_disk import CONVERTED, StreamedImages
from tlearn.data.shards.index import Items, ShardedSplit, shards_of
from tlearn.data.shards.order import shard_order
from tlearn.data.shards.place import ShardPlace

_TRIES = 5


class ShardPictures:
    """The pictures of a split.

    LitData's own reader takes 0.22 to 0.27 ms for a picture at a random place; this one takes 0.05 ms, the same as for
    a file (two passes over 200 pictures of 110 KB). LitData's keeps one shard open at a time, so it can serve neither
    threads nor an order that draws from several shards. It also deserialises items, with pickle among others, while
    only bytes are needed here.

    Args:
        place: The place of the shards.
        split: ``train``, ``val`` or ``test``.
        sharded: The shards of the split.
        items: A row for each picture.
    """

    def __init__(self, place: ShardPlace, split: str, sharded: ShardedSplit, items: Items) -> None:
        self.place, self.split, self.sharded, self.items = place, split, sharded, items
        self.shards = shards_of(sharded)
        self._name_ends = np.flatnonzero(items.names == 0)

    def __len__(self) -> int:
        """Return N."""
        return len(self.shards)

    def name(self, position: int) -> str:
        """Return the path of the original file, relative to the folder that was optimized."""
        begin = int(self._name_ends[position - 1]) + 1 if position else 0
        return os.fsdecode(self.items.names[begin : int(self._name_ends[position])].tobytes())

    def read(self, position: int, framing: Framing, draws: Tensor | None = None) -> Tensor:
        """Decode a picture.

        Raises:
            TlearnError: It cannot be decoded; names shard and picture.
        """
        data = self.content(position)
        try:
            return decoded(data, framing, draws)
        except Exception as error:
            raise self._fault(position, error, data) from error

    def samples(self, position: int, reading: Reading) -> Samples | None:
        """Return the numbers of a picture; ``None`` for one of 8 bits, which is not decoded.

        Raises:
            TlearnError: It cannot be read; names shard and picture.
        """
        data = self.content(position)
        try:
            return deep_samples_of(data, reading)
        except UnreadableImageError as error:
            raise self._fault(position, error, data) from error

    def _fault(self, position: int, error: Exception, data: bytes) -> TlearnError:
        reason = reason_of(error, data)
        way = "" if "data.init_args." in reason else "; run tlearn optimize anew"  # an option is what mends it
        return TlearnError(f"{self._about(position)}: {reason}{way}")

    def content(self, position: int) -> bytes:
        """Return the bytes of the original file.

        Raises:
            TlearnError: The shard cannot be read, or holds other bytes there.
        """
        shard = self.sharded.shards[int(self.shards[position])]
        begin, size = int(self.items.begins[position]), int(self.items.sizes[position])
        digest = bytes(self.items.digests[position].tolist())
        try:
            for _ in range(_TRIES):
                path = self.place.path(self.split, shard)
                data = _part_of(path, begin, size)
                if data is not None and hashlib.blake2b(data, digest_size=16).digest() == digest:
                    return data
                self.place.mend(path)
        except OSError as error:
            raise TlearnError(f"{self._about(position)}: {error.strerror}; copy the shards anew") from error
        raise TlearnError(
            f"{self._about(position)}: gone or damaged as soon as it came; raise data.init_args.max_cache_gb, or look "
            "after this disk"
        )

    def fingerprint(self) -> str:
        """Hash contents in their order."""
        return hashlib.blake2b(self.items.digests.numpy().tobytes(), digest_size=16).hexdigest()

    def colour_note(self) -> str:
        """Tell that any may be of another colour space: looking would open them all."""
        return CONVERTED

    def state(self, position: int) -> str:
        """Return nothing: shards are checked against their digests."""
        return ""

    def draw_keys(self) -> Tensor:
        """Hash names as `FilePictures` does, so that the same pictures validate."""
        return keys_of_names(self.items.names.tobytes().split(b"\0")[:-1])

    def _about(self, position: int) -> str:
        shard = self.sharded.shards[int(self.shards[position])]
        return f"{self.place.about}/{self.split}/{shard.name}, {one_line(self.name(position), 200)}"


class ShardedImages(StreamedImages):
    """Images of a split in shards, drawn from few shards at a time."""

    pictures: ShardPictures

    def part(self, indices: Tensor) -> ShardedImages:
        """Return other images of the same source."""
        part = ShardedImages(self.pictures, self.framing, self.targets, indices)
        part.groups = self.groups
        return part

    def epoch_order(self, seed: int, sizes: Sequence[int], lanes: int) -> Tensor:
        """Draw the order of an epoch; see `shard_order`."""
        return shard_order(self.pictures.shards[self.indices], seed, sizes, lanes)


def _part_of(path: Path, begin: int, size: int) -> bytes | None:
    """Read from the middle of a file; ``None`` if another process has just deleted it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.pread(handle, size, begin)
    finally:
        os.close(handle)
