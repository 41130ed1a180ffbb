"""Picture files that Pillow does not read right: tifffile and imagecodecs read them, the extra ``science``."""

from __future__ import annotations

from typing import BinaryIO

from tlearn.data.decoding.header import Header
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError

INSTALL = "pip install 'tlearn[science]'"


def science_version() -> str:
    """Return the versions of the decoders; empty where they are missing."""
    return ""


def samples_of_science(file: BinaryIO, header: Header, reading: Reading, least_px: int | None) -> Samples:
    """Read the numbers of a picture file.

    Args:
        file: The file.
        header: What it says.
        reading: The plane to read, and the limit of pixels.
        least_px: The short side that suffices: a level of a pyramid, or a reduced picture, of at least this size may
            be read in place of a huge one. ``None`` reads all pixels.

    Raises:
        UnreadableImageError: The extra is missing, or the file cannot be read.
    """
    raise UnreadableImageError(f"{header.what}, which needs tifffile and imagecodecs: {INSTALL}")
