"""Images to check an exported network with, and to calibrate on. Letters: N images, B in a batch, S pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch
from tlearn.data.files.listing import find_pictures
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import InMemoryImages

_MOST_PICTURES = 256


@dataclass(frozen=True)
class Examples:
    """Images of two splits.

    Attributes:
        check: What to check with.
        calibrate: What to calibrate on.
        what: What they are called: ``validation images``.
        labelled: The targets of ``check`` are true.
    """

    check: ImageSet
    calibrate: ImageSet
    what: str
    labelled: bool

    def to_check(self, most: int, size: int) -> Iterator[Batch]:
        """Yield up to so many, evenly spread, for sources are often sorted by class, in batches of a size."""
        return _spread(self.check, most, size)

    def to_calibrate(self, most: int, size: int) -> Iterator[Batch]:
        """Yield up to so many, evenly spread, in batches of a size."""
        return _spread(self.calibrate, most, size)


def examples_from_folders(folders: Sequence[Path], framing: Framing) -> Examples:
    """Read pictures without labels, at any depth; a file that gives no picture is passed over.

    Raises:
        TlearnError: There is none that could be read.
    """
    paths = [folder / name for folder in folders for name in find_pictures(folder).names]
    pixels = []
    for place in _evenly(len(paths), _MOST_PICTURES).tolist():
        try:
            pixels.append(read_image(paths[place], framing))
        except UnreadableImageError:
            continue
    named = ", ".join(str(folder.absolute()) for folder in folders)
    if not pixels:
        raise TlearnError(f"--data: no readable picture in {named}")
    images = InMemoryImages(torch.stack(pixels), torch.zeros(len(pixels)), torch.arange(len(pixels)))
    return Examples(images, images, f"pictures in {named}", labelled=False)


def _spread(images: ImageSet, most: int, size: int) -> Iterator[Batch]:
    for positions in torch.split(_evenly(len(images), most), size):
        batch = images[BatchKey(0, positions)]
        yield batch._replace(images=_square(batch.images))


def _square(images: Tensor) -> Tensor:
    """Cut the centre out of (B, 3, H, W): data in memory may be oblong, a photograph is read as a square."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def _evenly(count: int, most: int) -> Tensor:
    kept = min(count, most)
    return torch.arange(kept) * count // max(kept, 1)
