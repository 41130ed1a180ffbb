"""Small pictures for a page, decoded as a fit sees them. Letters: C channels, H and W pixels."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import UnreadableImageError, read_source
from tlearn.reporting.pictures import in_colours

THUMBNAIL_PX = 320  # the longer side, where nothing is asked for
LEAST_PX, MOST_PX = 16, 2048
_EXACT_PX = 128  # up to here a PNG keeps every pixel, and is small all the same
_QUALITY = 88
_MOST_BYTES = 2**26  # some 3,000 photographs of 320 px


class Thumbnail(NamedTuple):
    """A picture to be shown.

    Attributes:
        data: The bytes of a JPEG or PNG file.
        media_type: Which of both.
    """

    data: bytes
    media_type: str


def thumbnail(path: Path, size_px: int = THUMBNAIL_PX, reading: Reading | None = None) -> Thumbnail:
    """Return the whole picture of a file, small: upright, in its own aspect ratio, in the colours that a fit sees.

    Args:
        path: The file.
        size_px: The longer side, in pixels. A smaller picture stays as it is.
        reading: What the file's numbers mean; that of the network, where there is one.

    Raises:
        TlearnError: ``size_px`` is out of bounds.
        UnreadableImageError: The file gives no picture.
    """
    if not LEAST_PX <= size_px <= MOST_PX:
        raise TlearnError(f"size_px: expected from {LEAST_PX} to {MOST_PX}, got {size_px}")
    return thumbnail_of(decode(read_source(path), reading or Reading(), size_px), size_px)


def thumbnail_of(pixels: Tensor, size_px: int = THUMBNAIL_PX) -> Thumbnail:
    """Return pixels, uint8 (C, H, W), as the file of a picture whose longer side is at most ``size_px``."""
    longest = max(pixels.shape[-2:])
    if longest > size_px:
        sides = [max(1, round(side * size_px / longest)) for side in pixels.shape[-2:]]
        pixels = F.resize(pixels, sides, antialias=True)
    image = Image.fromarray(in_colours(pixels[None])[0].permute(1, 2, 0).contiguous().numpy())
    buffer = io.BytesIO()
    if max(image.size) <= _EXACT_PX:
        image.save(buffer, "PNG")
        return Thumbnail(buffer.getvalue(), "image/png")
    image.save(buffer, "JPEG", quality=_QUALITY)
    return Thumbnail(buffer.getvalue(), "image/jpeg")


class Thumbnails:
    """The thumbnails that were asked for last, in memory, for several threads. A file that has changed is read anew.

    Args:
        reading: What the files' numbers mean.
        most_bytes: How much is kept.
    """

    def __init__(self, reading: Reading | None = None, most_bytes: int = _MOST_BYTES) -> None:
        self._reading, self._most_bytes = reading or Reading(), most_bytes
        self._kept: OrderedDict[str, Thumbnail] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def tag_of(self, path: Path, size_px: int) -> str:
        """Return what changes with the picture: a name for the browser's own cache.

        Raises:
            UnreadableImageError: There is no such file.
        """
        try:
            about = path.stat()
        except (OSError, ValueError) as error:  # a ValueError: no file can have that name
            raise UnreadableImageError(getattr(error, "strerror", None) or str(error)) from error
        facts = (str(path), about.st_mtime_ns, about.st_size, about.st_ino, size_px, self._reading)
        return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:32]

    def get(self, path: Path, size_px: int = THUMBNAIL_PX) -> Thumbnail:
        """Return a thumbnail, from memory if it was asked for before.

        Raises:
            TlearnError: As `thumbnail`.
            UnreadableImageError: As `thumbnail`.
        """
        tag = self.tag_of(path, size_px)
        with self._lock:
            if tag in self._kept:
                self._kept.move_to_end(tag)
                return self._kept[tag]
        made = thumbnail(path, size_px, self._reading)  # without the lock: pictures are decoded side by side
        self._keep(tag, made)
        return made

    def _keep(self, tag: str, made: Thumbnail) -> None:
        with self._lock:
            if tag not in self._kept:
                self._bytes += len(made.data)
            self._kept[tag] = made
            while self._bytes > self._most_bytes and self._kept:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
