"""Pictures that stay on disk and are decoded batch by batch. Letters: N images, B in a batch, S the side in pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from tlearn.base.errors import TlearnError
from tlearn.base.machine import cores_allowed
from tlearn.base.program import program
from tlearn.data.files.boxes import Box, cut, name_with_box
from tlearn.data.files.inspection_store import stamp_of_file
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image
from tlearn.data.images.augment import BatchAugment
from tlearn.data.images.frames import Frames
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.in_memory import fingerprint
from tlearn.data.images.keyed_random import keys_of_names
from tlearn.data.kept.files import KeptFiles

_Read = TypeVar("_Read")

CONVERTED = " converted to sRGB"  # in the fingerprint


class Pictures(Protocol):
    """A source of N pictures that are read one by one."""

    def __len__(self) -> int:
        """Count them."""

    def read(self, position: int, framing: Framing, draws: Tensor | None = None) -> Tensor:
        """Return uint8 (3, S, S)."""

    def fingerprint(self) -> str:
        """Return a hash that changes when the pictures do."""

    def colour_note(self) -> str:
        """Return `CONVERTED` if pictures are, or may be, of another colour space; else nothing."""

    def draw_keys(self) -> Tensor:
        """Return int64 (N,), the keys that decide, with a seed, which pictures validate."""

    def state(self, position: int) -> str:
        """Return a text that changes when somebody replaces a picture; always the same where nobody can."""


class FilePictures:
    """Picture files under a folder.

    Args:
        root: The folder.
        names: N paths relative to it. They are kept as one block of bytes: reading a list of strings changes its
            reference counts, so that every worker would end up with a copy of a million strings.
        contents: N hashes of the files' bytes, for the fingerprint; without them the names are hashed.
        boxes: int64 (N, 4), the objects to cut out of the files; see `tlearn.data.files.boxes`.
        has_other_colours: Some are of another colour space than sRGB.
        kept: What is kept of large files, so that they are decoded once.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        contents: Sequence[bytes] = (),
        boxes: Tensor | None = None,
        has_other_colours: bool = False,
        kept: KeptFiles | None = None,
    ) -> None:
        self.root, self.contents, self.boxes, self.has_other_colours = root, contents, boxes, has_other_colours
        self.kept = kept
        self._names = np.array([os.fsencode(name) for name in names], dtype=np.bytes_)

    def __len__(self) -> int:
        """Count files."""
        return len(self._names)

    def path(self, position: int) -> Path:
        """Return the path of a picture."""
        return self.root / self.name(position)

    def paths(self, positions: Tensor) -> list[str]:
        """Return the paths of pictures by their positions (B,); an object's box is written behind its path."""
        paths = [str(self.path(position)) for position in positions.tolist()]
        if self.boxes is None:
            return paths
        return [name_with_box(path, self._box(row)) for path, row in zip(paths, positions.tolist(), strict=True)]

    def name(self, position: int) -> str:
        """Return its path relative to the root."""
        return os.fsdecode(bytes(self._names[position]))

    def read(self, position: int, framing: Framing, draws: Tensor | None = None) -> Tensor:
        """Decode a file.

        Raises:
            TlearnError: The file cannot be decoded.
        """
        try:
            part = None if self.boxes is None else partial(cut, box=self._box(position))
            read = read_image if self.kept is None else partial(self.kept.read, position)
            return read(self.path(position), framing, draws, part)
        except UnreadableImageError as error:
            raise TlearnError(
                f"{self.path(position).absolute()}: {error}; mend it, or leave it out: {program()} doctor --fix"
            ) from error

    def _box(self, position: int) -> Box:
        assert self.boxes is not None
        x, y, width, height = self.boxes[position].tolist()
        return x, y, width, height

    def fingerprint(self) -> str:
        """Hash the contents in their order."""
        each = b"".join(bytes(content) + b"\0" for content in self.contents or self._names)
        return hashlib.blake2b(each, digest_size=16).hexdigest()

    def colour_note(self) -> str:
        """Tell whether any is of another colour space."""
        return CONVERTED if self.has_other_colours else ""

    def state(self, position: int) -> str:
        """Return size and times of the file."""
        return stamp_of_file(self.path(position))

    def draw_keys(self) -> Tensor:
        """Hash names, so that a picture stays in training or in validation when others come and go."""
        return keys_of_names(bytes(name) for name in self._names)


class StreamedImages(ImageSet):
    """Images that are decoded when a batch is served.

    Args:
        pictures: The whole source.
        framing: How pictures become squares.
        targets: (N, ...), targets of the whole source.
        indices: int64, the positions in the source of the images of this set.
        transform: Random changes to a batch; crop boxes are cut from the pictures at full resolution.
    """

    def __init__(
        self,
        pictures: Pictures,
        framing: Framing,
        targets: Tensor,
        indices: Tensor,
        transform: BatchAugment | None = None,
    ) -> None:
        super().__init__(targets, indices, transform)
        self.pictures, self.framing, self._frames = pictures, framing, Frames()
        self.num_channels = framing.reading.num_channels

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return S and S."""
        return self.framing.size_px, self.framing.size_px

    def part(self, indices: Tensor) -> StreamedImages:
        """Return other images of the same source."""
        part = StreamedImages(self.pictures, self.framing, self.targets, indices)
        part.groups, part._frames = self.groups, self._frames
        return part

    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Decode a batch and transform it."""
        draws = self.transform.crop_draws(rows, epoch) if self.transform else None
        each = draws if draws is not None else [None] * len(rows)
        images = torch.stack(in_threads(self._framed, rows.tolist(), each))
        targets = self.targets[rows]
        return self.transform(images, targets, rows, epoch, is_cut=True) if self.transform else (images, targets)

    def _framed(self, row: int, draws: Tensor | None) -> Tensor:
        if draws is not None:
            return self.pictures.read(row, self.framing, draws)
        return self._frames.get(row, lambda: self.pictures.read(row, self.framing), self.pictures.state(row))

    def draw_keys(self) -> Tensor:
        """Return the keys of these pictures."""
        return self.pictures.draw_keys()[self.indices]

    def fingerprint(self) -> str:
        """Hash the pictures, how they are framed and converted, and the targets."""
        return fingerprint(self.targets, about=self._about_pixels())

    def pixels_fingerprint(self) -> str:
        """Hash the pictures and how they are framed and converted, whatever their targets are."""
        return fingerprint(about=self._about_pixels())

    def _about_pixels(self) -> str:
        colours = self.pictures.colour_note() if self.framing.reading.converts_colour else ""
        return f"{self.pictures.fingerprint()} {self.framing}{colours}"


def in_threads(read: Callable[..., _Read], *arguments: Iterable[object]) -> list[_Read]:
    """Map in as many threads as there are cores; in a worker process only in its own thread."""
    threads = cores_allowed()
    if threads == 1 or get_worker_info() is not None:
        return list(map(read, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(read, *arguments))
