"""Picture files that Pillow does not read right: tifffile and imagecodecs read them, the extra ``science``."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

from tlearn.data.decoding.header import Header
from tlearn.data.decoding.pillow_file import check_size, open_image
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError
from tlearn.data.decoding.science_extra import INSTALL, science_version

_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # markers of JPEG


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
    if header.tiff is not None:
        from tlearn.data.decoding.tiff.samples import check_numbers, samples_of_tiff

        check_numbers(header.tiff)
    if not science_version():
        raise UnreadableImageError(f"{header.what}, which needs tifffile and imagecodecs: {INSTALL}")
    if header.tiff is not None:
        _silence()
        return samples_of_tiff(file, header.tiff, reading, least_px)
    check_size(header.size, reading.max_megapixels)
    if reading.page not in ("first", "max", "mean", "middle", 1):
        raise UnreadableImageError(f"no plane {reading.page} of data.init_args.page, it has 1")
    values = _decoded(file, header)
    values = values[:, :, None] if values.ndim == 2 else values
    alpha = values.shape[2] - 1 if header.has_alpha and values.shape[2] in (2, 4) else None
    return Samples(values, header.bits if values.dtype != np.uint8 else 8, alpha=alpha, is_alpha_sure=True)


def _decoded(file: BinaryIO, header: Header) -> NDArray[Any]:
    import imagecodecs

    from tlearn.data.decoding.tiff.samples import upright

    file.seek(0)
    if header.format == "PNG":
        values = np.asarray(imagecodecs.png_decode(file.read()))
        with open_image(file, float("inf")) as image:
            return upright(values, image.getexif().get(ExifTags.Base.Orientation, 1))
    if header.format == "JPEG":
        data = file.read()
        if data.find(_END, data.rfind(_SCAN)) < 0:  # what is missing would be grey
            raise UnreadableImageError("truncated")
        return np.asarray(imagecodecs.jpeg_decode(data))
    if header.format == "JPEGXL":
        return np.asarray(imagecodecs.jpegxl_decode(file.read(), index=0))
    return np.asarray(imagecodecs.jpeg2k_decode(file.read()))


@lru_cache(1)
def _silence() -> None:
    """Keep tifffile's remarks on odd tags off the terminal; who sets a level of its logger keeps them."""
    logger = logging.getLogger("tifffile")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
