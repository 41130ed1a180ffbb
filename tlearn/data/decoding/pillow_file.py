"""Open picture files with Pillow, within a limit of pixels that can be set."""

from __future__ import annotations

import struct
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from tlearn.data.decoding.formats.heif import open_heic
from tlearn.data.decoding.jpeg_header import jpeg_frame
from tlearn.data.decoding.samples import UnreadableImageError

_DRAFTED = ("JPEG", "MPO")
_LEAST_BITS = 2 / 64  # of a pixel: a block of 8 x 8 px has two codes at least, of a bit at least
_KEY_FACTORS = {"L;2": 85, "L;4": 17}  # by the way in which Pillow reads the pixels


def open_image(file: BinaryIO, max_megapixels: float, frame: int = 0) -> ImageFile.ImageFile:
    """Open a picture file whose pixels may be decoded; a JPEG only after `draft_within`.

    `PIL.Image.open` refuses by the size that a file states, even a JPEG of which a fraction is decoded, and its limit
    is one for the whole process.

    Args:
        file: The file.
        max_megapixels: The limit.
        frame: The page or frame to open, from 0.

    Raises:
        UnidentifiedImageError: Pillow reads no such format.
        UnreadableImageError: It has more pixels than the limit.
    """
    image = _opened(file)
    _scale_key(image)
    if frame:
        image.seek(frame)
    if image.format not in _DRAFTED:
        check_size(image.size, max_megapixels)
    return image


def _scale_key(image: ImageFile.ImageFile) -> None:
    """Scale the grey that a PNG file of 2 or 4 bits calls transparent as Pillow scales its pixels."""
    factor = _KEY_FACTORS.get(str(image.tile[0].args)) if image.format == "PNG" and image.tile else None
    if factor is not None and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= factor


def _opened(file: BinaryIO) -> ImageFile.ImageFile:
    photograph = open_heic(file)
    if photograph is not None:
        return photograph
    file.seek(0)
    start, tried = file.read(16), set[str]()
    for load in (Image.preinit, Image.init):  # a few common formats, then all
        load()
        for name in [each for each in Image.ID if each not in tried]:
            tried.add(name)
            factory, accepts = Image.OPEN[name]
            try:
                accepted = accepts(start) if accepts is not None else True
                if not accepted or isinstance(accepted, str):  # a text says why not
                    continue
                file.seek(0)
                return factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):  # as Pillow: another format may fit
                continue
    raise UnidentifiedImageError("cannot identify image file")


def open_draft(file: BinaryIO, max_megapixels: float, least_px: int | None, frame: int = 0) -> ImageFile.ImageFile:
    """Open a picture file whose pixels may be decoded.

    Args:
        file: The file, at its start.
        max_megapixels: The limit.
        least_px: A short side that suffices: a JPEG is decoded at a fraction, an eighth or more, of at least twice it.
        frame: The page or frame to open, from 0.

    Raises:
        UnidentifiedImageError: Pillow reads no such format.
        UnreadableImageError: It decodes to more pixels than the limit.
    """
    image = open_image(file, max_megapixels, frame)
    draft_within(image, max_megapixels, None if least_px is None else 2 * least_px)
    return image


def draft_within(image: ImageFile.ImageFile, max_megapixels: float, draft_px: int | None) -> None:
    """Prepare to decode a JPEG at a fraction whose sides are at least ``draft_px``.

    Raises:
        UnreadableImageError: It still decodes to more pixels than the limit.
    """
    whole = image.size
    if draft_px is not None and image.format in _DRAFTED:  # of HEIC a draft would be the small preview in the file
        image.draft(image.mode, (draft_px, draft_px))
    if image.size != whole and _is_above(whole, max_megapixels):
        _check_fraction(image, whole, max_megapixels)
    check_size(image.size, max_megapixels)


def check_size(size: tuple[int, int], max_megapixels: float) -> None:
    """Refuse what decodes to more pixels than the limit, or to none: a small file can be made to fill the memory.

    Raises:
        UnreadableImageError: It is above the limit, or empty.
    """
    if min(size) < 1:
        raise UnreadableImageError(f"damaged ({size[0]:,} x {size[1]:,} px)")
    if _is_above(size, max_megapixels):
        width, height = size
        count = width * height / 1e6
        megapixels = f"{count:,.0f}" if count >= 10 else f"{count:.3g}"
        raise UnreadableImageError(
            f"{width:,} x {height:,} px = {megapixels} megapixels; the limit is {max_megapixels:g}: "
            "data.init_args.max_megapixels"
        )


def _is_above(size: tuple[int, int], max_megapixels: float) -> bool:
    return size[0] * size[1] > max_megapixels * 1e6


def _check_fraction(image: ImageFile.ImageFile, whole: tuple[int, int], max_megapixels: float) -> None:
    """Refuse a JPEG above the limit that is as much work or memory at a fraction.

    Raises:
        UnreadableImageError: It is decoded as a whole, as progressive ones are, or its bytes do not suffice.
    """
    file = image.fp
    assert file is not None  # it is not loaded yet
    place, frame = file.tell(), jpeg_frame(file)  # type: ignore[arg-type]  # Pillow calls any file IO[bytes]
    bits = 8 * file.seek(0, 2)
    file.seek(place)
    if frame is None or not frame.is_streamed:
        check_size(whole, max_megapixels)  # its coefficients are in memory at full size
    if bits < _LEAST_BITS * whole[0] * whole[1]:
        raise UnreadableImageError("truncated")
