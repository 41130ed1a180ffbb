"""Decode a picture file of any kind to uint8 channels. Letters: H and W pixels, C channels."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tlearn.base.errors import one_line
from tlearn.data.decoding.channels import channels_of, chosen_samples
from tlearn.data.decoding.colour import over_white, profiled, rgb_of_lab, to_srgb
from tlearn.data.decoding.foreign_formats import unread_by_content
from tlearn.data.decoding.header import Header, header_of
from tlearn.data.decoding.intensity import remark_on
from tlearn.data.decoding.jpeg_header import JPEG
from tlearn.data.decoding.pillow_file import open_draft, open_image
from tlearn.data.decoding.pillow_images import check_bits, samples_in_memory, unread_file_of
from tlearn.data.decoding.pillow_samples import samples_of_pillow
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError
from tlearn.data.decoding.science import samples_of_science
from tlearn.data.decoding.science_extra import INSTALL

_CUT_SHORT = ("truncated", "incomplete", "end of file")  # as decoders say it


def opened(source: bytes | Path) -> BinaryIO:
    """Return the bytes of a picture, or the file at a path, as an open file."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def decode(source: bytes | Path, reading: Reading, least_px: int | None = None) -> Tensor:
    """Decode a picture file, upright.

    Args:
        source: Its bytes, or its path where it is too large to be read at once.
        reading: What its numbers mean.
        least_px: A short side that suffices; a huge file may be decoded at a fraction that is at least twice as large.

    Returns:
        uint8 (C, H, W).

    Raises:
        UnreadableImageError: It gives no picture; the message is the reason.
    """
    return _as_tensor(_guarded(source, reading, least_px)[0])


def decode_and_remark(source: bytes | Path, reading: Reading, least_px: int | None = None) -> tuple[Tensor, str]:
    """Decode as `decode` does, and say what sets the picture apart from the training pictures; see `remark_on`."""
    pixels, samples = _guarded(source, reading, least_px)
    return _as_tensor(pixels), remark_on(samples, reading)


def _guarded(source: bytes | Path, reading: Reading, least_px: int | None) -> tuple[NDArray[np.uint8], Samples | None]:
    try:
        with opened(source) as file:
            return _decoded(file, reading, least_px)
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise UnreadableImageError(reason_of(error, source if isinstance(source, bytes) else b"")) from error


def _decoded(file: BinaryIO, reading: Reading, least_px: int | None) -> tuple[NDArray[np.uint8], Samples | None]:
    """Return pixels (H, W, C), and the numbers that they were made of, unless it is plainly a picture of 8 bits."""
    is_plain = _is_plain(reading) and reading.page == "first"
    header = Header() if is_plain and file.read(3) == JPEG else header_of(file, reading.max_megapixels)
    if is_plain and header.decoder == "pillow":
        try:
            with open_draft(file, reading.max_megapixels, least_px, header.first_page) as image:
                if not image.mode.startswith(("I", "F")):
                    return np.array(to_rgb(ImageOps.exif_transpose(image), reading.converts_colour)), None
        except UnidentifiedImageError:
            header = header_of(file, reading.max_megapixels)
            if header.decoder == "pillow":
                raise
    samples = samples_of(file, header, reading, least_px)
    pixels = channels_of(samples, reading, header.what or "a picture of 8 bits")
    profile = profile_of(file, header) if reading.converts_colour and reading.is_coloured else b""
    return np.array(to_srgb(profiled(Image.fromarray(pixels), profile))) if profile else pixels, samples


def profile_of(file: BinaryIO, header: Header) -> bytes:
    """Return the colour profile in a file; empty if it has none."""
    if header.tiff is not None:
        return header.tiff.profile
    if header.format not in ("", "PNG"):  # Pillow reads no profile of JPEG 2000, and opens no JPEG of 12 bits
        return b""
    with open_image(file, float("inf")) as image:
        return bytes(image.info.get("icc_profile") or b"")


def samples_of(file: BinaryIO, header: Header, reading: Reading, least_px: int | None = None) -> Samples:
    """Read the numbers of a picture file, whatever they are.

    Raises:
        UnreadableImageError: The file has no such plane, or needs a decoder that is not installed.
    """
    file.seek(0)
    if header.decoder == "science" and not (header.eight_bits_suffice and reading.intensity == "type"):
        return samples_of_science(file, header, reading, least_px)
    with open_draft(file, reading.max_megapixels, least_px) as image:
        return samples_of_pillow(image, header, reading.page)


def deep_samples_of(picture: bytes | Path | Image.Image, reading: Reading) -> Samples | None:
    """Read the numbers that the network gets of a picture of more than 8 bits; ``None`` for others, not decoded.

    Raises:
        UnreadableImageError: It gives no picture, or has other channels than the network takes.
    """
    try:
        if isinstance(picture, Image.Image):
            data = unread_file_of(picture, reading)
            if data is None:
                is_deep = picture.mode.startswith(("I", "F"))
                return chosen_samples(samples_in_memory(picture, reading), reading, "") if is_deep else None
            picture = data
        with opened(picture) as file:
            header = header_of(file)
            if header.decoder == "pillow" or header.bits <= 8:
                return None
            return chosen_samples(samples_of(file, header, reading), reading, header.what)
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise UnreadableImageError(reason_of(error, picture if isinstance(picture, bytes) else b"")) from error


def pixels_of(image: Image.Image, reading: Reading | None = None) -> Tensor:
    """Turn a picture of any mode into uint8 (C, H, W), upright, transparent pixels over white.

    Raises:
        UnreadableImageError: Its numbers have no known range.
    """
    return pixels_and_remark(image, reading or Reading())[0]


def pixels_and_remark(image: Image.Image, reading: Reading, least_px: int | None = None) -> tuple[Tensor, str]:
    """Turn a picture of any mode into uint8 (C, H, W), as `decode_and_remark` does its file.

    Raises:
        UnreadableImageError: Its numbers have no known range, or some of its bits are lost.
    """
    data = unread_file_of(image, reading)
    if data is not None:
        return decode_and_remark(data, reading, least_px)
    check_bits(image, reading)
    if _is_plain(reading) and not image.mode.startswith(("I", "F")):
        upright = to_rgb(ImageOps.exif_transpose(image), reading.converts_colour)
        return _as_tensor(np.array(upright)), remark_on(None, reading)
    samples = samples_in_memory(image, reading)
    return _as_tensor(channels_of(samples, reading, f"an image of mode {image.mode}")), remark_on(samples, reading)


def _as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Turn pixels (H, W, C) into (C, H, W). Pillow's own memory, which nobody may write to, is copied."""
    return torch.from_numpy(np.require(pixels, requirements="W")).permute(2, 0, 1)


def _is_plain(reading: Reading) -> bool:
    """Tell whether pictures of 8 bits become red, green and blue, as they are."""
    return reading.intensity in ("auto", "type") and reading.is_coloured


def to_rgb(image: Image.Image, converts_colour: bool = False) -> Image.Image:
    """Convert a picture of 8 bits and any mode to RGB, transparent pixels over white.

    Args:
        image: The picture.
        converts_colour: Colours of another space than sRGB are converted.
    """
    if image.mode == "La":  # which Pillow converts to nothing else
        image = image.convert("LA")
    if converts_colour:
        image = to_srgb(image)
    if image.mode == "LAB":
        return rgb_of_lab(image)
    if image.has_transparency_data:
        return over_white(image.convert("RGBA"))
    return image.convert("RGB")


def reason_of(error: Exception, data: bytes = b"") -> str:
    """Say in a few words why a file gives no picture."""
    if isinstance(error, UnreadableImageError):
        return str(error)
    if isinstance(error, ImportError):  # the extra is there, and broken
        return f"{one_line(error)}; install it anew: {INSTALL}"
    if isinstance(error, UnidentifiedImageError):
        return unread_by_content(data) or "no picture format"
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        return f"{int(pixels[1]):,} pixels: too large to be safe (decompression bomb)" if pixels else "too large"
    text = one_line(error)
    return "truncated" if any(word in text for word in _CUT_SHORT) else f"damaged ({text[:80]})"
