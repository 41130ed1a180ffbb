"""HEIC, the format of iPhones' photographs: the extra ``heif``, which is pillow-heif."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO

from PIL import ImageFile

INSTALL = "pip install 'tlearn[heif]'"
MISSING = f"HEIC, which needs pillow-heif: {INSTALL}"
ENDINGS = (".heic", ".heif", ".hif", ".heics", ".heifs")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_BRANDS_END = 16 + 63 * 4  # bytes: no writer lists more brands


@lru_cache(1)
def heif_version() -> str:
    """Return the version of pillow-heif; empty where it is missing."""
    try:
        return f"pillow-heif {version('pillow-heif')}"
    except PackageNotFoundError:
        return ""


def brands_of(start: bytes) -> list[bytes]:
    """Return the main and the compatible brands of an ISO media file by its first bytes; none for another file."""
    if start[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(start[:4], "big"), len(start), _BRANDS_END)  # a damaged file may claim gigabytes
    return [start[8:12], *(start[place : place + 4] for place in range(16, end, 4))]


def is_heic(start: bytes) -> bool:
    """Tell whether a file's first bytes are those of HEIC."""
    return any(brand in _BRANDS for brand in brands_of(start))


def open_heic(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Open the main picture of a HEIC file as Pillow opens others; ``None`` for another file.

    libheif turns it as the file's own ``irot`` and ``imir`` say. The EXIF orientation, which repeats them, is taken out
    by pillow-heif, so that nobody turns the picture twice. 10 and 12 bits become their upper eight.
    Nothing is registered with Pillow: `PIL.Image.open` stays as it was for the rest of the program.

    Raises:
        SyntaxError: It cannot be read.
    """
    file.seek(0)
    start = file.read(_BRANDS_END)
    file.seek(0)
    if not is_heic(start) or not heif_version():
        return None
    from pillow_heif import HeifImageFile

    image: ImageFile.ImageFile = HeifImageFile(file, "")  # type: ignore[no-untyped-call]  # it declares no types
    return image
