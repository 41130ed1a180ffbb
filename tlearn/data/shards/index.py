"""The index that `tlearn optimize` writes beside LitData's shards. Letters: N pictures of a split.

``tlearn.json`` names classes, splits and shards; ``SPLIT/items.safetensors`` has a row for each picture. Both are plain
data that cannot execute anything, and every number is checked before it is used. LitData's own ``index.json`` is for
other programs and is never read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from tlearn.base.errors import TlearnError, one_line
from tlearn.data.datamodule import Split
from tlearn.data.decoding.reading_options import reading_in
from tlearn.data.decoding.samples import type_range

INDEX, ITEMS, VERSION = "tlearn.json", "items.safetensors", 1
_SHARD_NAME = re.compile(r"[\w-]+\.bin")  # no path, and not hidden
_COLUMNS = {"labels": torch.int64, "begins": torch.int64, "sizes": torch.int64, "digests": torch.uint8}


@dataclass(frozen=True)
class Shard:
    """A file of pictures.

    Attributes:
        name: Name of the file in the folder of its split.
        images: Number of pictures.
        size_bytes: Size of the file.
        digest: `digest_of` the file.
    """

    name: str
    images: int
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class ShardedSplit:
    """The shards of a split, in the order of its pictures.

    Attributes:
        shards: The shards.
        items: `digest_of` the file with a row for each picture.
    """

    shards: tuple[Shard, ...]
    items: str

    @property
    def images(self) -> int:
        """Return N."""
        return sum(shard.images for shard in self.shards)


@dataclass(frozen=True)
class ShardIndex:
    """The content of ``tlearn.json``.

    Attributes:
        class_names: Names of the classes 0 to K - 1.
        splits: The splits.
        reading: How the pictures were looked at, with the ranges that were learned of the training pictures: options
            of `Reading` by name. ``None`` in a folder that was written before there were such options.
        group: The option by which the names of the pictures tell their groups; ``None`` without groups.
    """

    class_names: list[str]
    splits: dict[Split, ShardedSplit]
    reading: dict[str, Any] | None = None
    group: int | str | None = None

    def as_text(self) -> str:
        """Return it as JSON."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1)


@dataclass(frozen=True)
class Items:
    """A row for each picture of a split.

    Attributes:
        labels: int64 (N,), class numbers.
        begins: int64 (N,), offset of the picture's bytes in its shard.
        sizes: int64 (N,), number of these bytes.
        digests: uint8 (N, 16), BLAKE2b of these bytes.
        names: uint8, the paths of the original files, each followed by a zero.
    """

    labels: Tensor
    begins: Tensor
    sizes: Tensor
    digests: Tensor
    names: NDArray[np.uint8]

    def as_bytes(self) -> bytes:
        """Return them in the safetensors format."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return save({**columns, "names": torch.from_numpy(self.names)})


def digest_of(content: bytes | memoryview) -> str:
    """Hash the content of a file (BLAKE2b, 1 GB/s)."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def parse_index(content: bytes, place: str) -> ShardIndex:
    """Parse ``tlearn.json``.

    Args:
        content: The content of the file.
        place: Its path or URL, for messages.

    Raises:
        TlearnError: It has another version, or was not written by `ShardIndex.as_text`.
    """
    try:
        about = json.loads(content)
        version = about["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TlearnError(
            f"{place} is not what tlearn optimize writes ({one_line(error, 80)}); write it anew"
        ) from error
    if version != VERSION:
        raise TlearnError(f"{place} is of version {str(version)[:20]}, expected {VERSION}: run tlearn optimize anew")
    try:
        splits: dict[Split, ShardedSplit] = {}
        for split in ("train", "val", "test"):
            if split in about["splits"]:
                splits[split] = _split_of(about["splits"][split])
        names = about["class_names"]
        if not (isinstance(names, list) and len(names) > 1 and all(isinstance(name, str) for name in names)):
            raise ValueError("class_names are no list of names")
        reading = about.get("reading")
        if reading is not None:
            _check_ranges(reading["ranges"])
            reading_in(reading)
        group = _group_of(about.get("group"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TlearnError(f"{place} is damaged ({one_line(error, 80)}): run tlearn optimize anew") from error
    return ShardIndex(names, splits, reading, group)


def parse_items(content: bytes, split: ShardedSplit, n_classes: int, place: str) -> Items:
    """Parse the rows of a split.

    Raises:
        TlearnError: Their digest is not that of the index, or a row points outside of its shard.
    """
    fault = TlearnError(f"{place} is not the file that {INDEX} speaks of: copy the folder anew, or optimize again")
    if digest_of(content) != split.items:
        raise fault
    try:
        columns = load(content)
        ordered = [columns[name] for name in (*_COLUMNS, "names")]
    except Exception as error:  # safetensors' own errors, for a malicious file
        raise fault from error
    kinds_fit = all(
        column.dtype == kind for column, kind in zip(ordered, (*_COLUMNS.values(), torch.uint8), strict=True)
    )
    shapes_fit = [tuple(column.shape) for column in ordered[:4]] == [*[(split.images,)] * 3, (split.images, 16)]
    labels, begins, sizes, digests, names = ordered
    items = Items(labels, begins, sizes, digests, names.flatten().numpy())
    if not (kinds_fit and shapes_fit and _is_inside(items, split, n_classes)):
        raise fault
    return items


def shards_of(split: ShardedSplit) -> Tensor:
    """Return int64 (N,), the number of each picture's shard."""
    counts = torch.tensor([shard.images for shard in split.shards])
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


def read_file(path: Path) -> bytes:
    """Read a file of an optimized folder.

    Raises:
        TlearnError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlearnError(f"cannot read {path.absolute()} ({error.strerror}); copy the folder anew") from error


def _group_of(group: Any) -> int | str | None:
    if type(group) not in (int, str, type(None)):
        raise ValueError("group is no number and no text")
    known: int | str | None = group
    return known


def _check_ranges(ranges: Mapping[str, Any]) -> None:
    for kind, (low, high) in ranges.items():
        type_range(kind)  # raises for what is no type
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"{kind} has no range")


def _split_of(about: Mapping[str, Any]) -> ShardedSplit:
    shards = tuple(Shard(**each) for each in about["shards"])
    for shard in shards:
        if not (_SHARD_NAME.fullmatch(str(shard.name))):
            raise ValueError(f"no name of a shard: {shard.name}")
        if not all(type(number) is int and 0 < number < 2**62 for number in (shard.images, shard.size_bytes)):
            raise ValueError(f"{shard.name} has no size")
    if not shards or len({shard.name for shard in shards}) < len(shards):
        raise ValueError("no shards, or two of one name")
    return ShardedSplit(shards, str(about["items"]))


def _is_inside(items: Items, split: ShardedSplit, n_classes: int) -> bool:
    ends = torch.tensor([shard.size_bytes for shard in split.shards])[shards_of(split)]
    inside = (items.begins >= 0) & (items.sizes > 0) & (items.sizes <= ends) & (items.begins <= ends - items.sizes)
    known = (items.labels >= 0) & (items.labels < n_classes)
    return bool((inside & known).all()) and int((items.names == 0).sum()) == split.images
