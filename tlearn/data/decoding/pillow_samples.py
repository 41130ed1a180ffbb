"""Numbers of more than 8 bits, bands and planes, of files whose numbers Pillow reads right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tlearn.base.errors import one_line
from tlearn.data.decoding.colour import over_white, rgb_of_lab
from tlearn.data.decoding.header import Header
from tlearn.data.decoding.planes import one_plane, plane_number
from tlearn.data.decoding.reading_options import Page
from tlearn.data.decoding.samples import Samples, UnreadableImageError

_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI", "DCX")
_SIXTEEN = ("I;16", "I;16B", "I;16L")
# Types that Pillow reads as another one of the same bits, by kind and bits of the file.
_SAME_BITS = {("int", 8): np.int8, ("uint", 32): np.uint32, ("int", 16): np.int16}


def samples_of_pillow(image: Image.Image, header: Header, page: Page) -> Samples:
    """Read the numbers of an open picture.

    Args:
        image: The picture, not loaded yet.
        header: What the file says.
        page: The plane to read.

    Raises:
        UnreadableImageError: It has no such plane.
    """
    tiff = header.tiff
    frames: Sequence[int] = tiff.pages if tiff else range(image.tell(), image.tell() + frames_of(image))
    number = plane_number(page, len(frames))
    if number is None:
        values = one_plane(_numbers(image, header, frames), len(frames), page, tiff.nodata if tiff else None)
    else:
        values = next(_numbers(image, header, frames[number : number + 1]))
    values = _with_alpha_of(values, image)
    bits = tiff.bits if tiff else 16 if image.mode.startswith("I") else 8
    if values.dtype == np.uint16 and header.bits < bits:
        bits = header.bits
        values = _as_written(values, header)
    bits = 8 if values.dtype == np.uint8 else bits
    if tiff:
        return Samples(values, bits, alpha=tiff.alpha, nodata=tiff.nodata, white_is_zero=tiff.white_is_zero)
    return Samples(values, bits, alpha={2: 1, 4: 3}.get(values.shape[2]), is_alpha_sure=True)


def _with_alpha_of(values: NDArray[Any], image: Image.Image) -> NDArray[Any]:
    """Add a channel of opacity to grey numbers of 16 bits of which a PNG file calls one transparent."""
    key = image.info.get("transparency")
    if image.mode not in _SIXTEEN or not isinstance(key, int):
        return values
    return np.concatenate([values, np.where(values == key, 0, 2**16 - 1).astype(values.dtype)], axis=2)


def _as_written(values: NDArray[Any], header: Header) -> NDArray[Any]:
    """Return the numbers that a file of fewer than 16 bits holds; Pillow has scaled them to 16."""
    if header.format == "JPEG2000":
        return np.asarray(values >> (16 - header.bits))
    return np.asarray(np.rint(values * ((2**header.bits - 1) / 65535)).astype(np.uint16))


def frames_of(image: Image.Image) -> int:
    """Count the frames of an animation; a photograph's second one (MPO) is a preview or for the other eye."""
    return int(getattr(image, "n_frames", 1)) if image.format in _ANIMATED else 1


def _numbers(image: Image.Image, header: Header, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Yield (H, W, C) of each plane, in the order of the frames."""
    for frame in frames:
        values = np.asarray(_frame(image, frame, is_alone=len(frames) == 1))
        if values.dtype == np.bool_:
            values = values.astype(np.uint8) * 255
        if header.tiff is not None:
            same = _SAME_BITS.get((header.tiff.kind, header.tiff.bits))
            if same is np.int16:
                values = values.astype(np.int16)
            elif same is not None:
                values = values.view(same)
            if header.tiff.white_is_zero and values.dtype == np.uint8:
                values = 255 - values  # the file's own number: Pillow has turned those of 8 bits
        elif image.mode == "I":  # grey PGM, whose numbers Pillow scales to 16 bits
            values = values.astype(np.uint16)
        yield values[:, :, None] if values.ndim == 2 else values


def _frame(image: Image.Image, frame: int, is_alone: bool) -> Image.Image:
    """Return a frame upright; a damaged one of many is named by its number."""
    try:
        if image.tell() != frame:
            image.seek(frame)
        return _upright(image) if is_alone else _flat(_upright(image))
    except UnreadableImageError:
        raise
    except Exception as error:  # damaged bytes are misread in every way
        if frames_of(image) == 1:
            raise
        raise UnreadableImageError(f"page {frame + 1}: damaged ({one_line(error)[:80]})") from error


def _flat(image: Image.Image) -> Image.Image:
    """Lay a frame of an animation over white: only some of its frames may have transparent pixels."""
    if image.format == "TIFF" or image.mode != "RGBA":
        return image
    return over_white(image)


def _upright(image: Image.Image) -> Image.Image:
    """Return the loaded picture upright, in a mode whose numbers are those of the file; inks become RGB."""
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ("P", "PA", "LA", "RGBa") or (image.mode in ("L", "RGB") and image.has_transparency_data):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "LAB":
        return rgb_of_lab(image)
    if image.mode not in (*_SIXTEEN, "1", "L", "I", "F", "RGB", "RGBA", "CMYK", "YCbCr"):
        raise UnreadableImageError(f"Pillow's mode {image.mode} is not read; save it as PNG")
    return image.convert("RGB") if image.mode in ("CMYK", "YCbCr") else image
