"""Read a picture file of any mode and size as uint8 pixels. Letters: H and W pixels, S the side of the square.

Pillow decodes all formats. For a JPEG file of 500 x 375 px torchvision's decoder takes 1.4 ms and Pillow 1.8 ms, but
torchvision's is deprecated (0.29). Large photographs are much quicker with Pillow, which decodes them at a fraction of
their size. torch resizes uint8 in half the time that Pillow takes.
"""

from __future__ import annotations

import io
import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jsonargparse.typing import PositiveInt
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tlearn.base.errors import one_line
from tlearn.data.files.foreign_formats import RAW, unread_by_content, unread_by_name

DEFAULT_SIZE_PX = 224  # the training size of nearly all ImageNet networks
CROP_PCT = 0.875  # 224 of 256 px, the usual ImageNet evaluation
# ImageNet's mean colour, which normalisation turns into 0.
_LETTERBOX_FILL = (124, 116, 104)
_ASPECTS = (3 / 4, 4 / 3)  # range of a random crop's aspect ratio
_PAPER = (255, 255, 255)  # behind transparent pixels


class UnreadableImageError(Exception):
    """A file that cannot be decoded; the message is the reason, without the path."""


@dataclass(frozen=True)
class Framing:
    """How pictures of all sizes become squares of one size.

    Attributes:
        size_px: Side S of the square.
        crop_mode: ``center`` cuts the centre out; ``letterbox`` shows the whole picture, with bars in ImageNet's mean
            colour.
        crop_pct: Side of the centre, as a share of the short side (timm's name); 0.875 is 224 of 256 px.
    """

    size_px: PositiveInt = DEFAULT_SIZE_PX
    crop_mode: Literal["center", "letterbox"] = "center"
    crop_pct: float = CROP_PCT


def read_image(path: Path, framing: Framing, draws: Tensor | None = None) -> Tensor:
    """Read a picture file.

    Args:
        path: The file.
        framing: How it becomes a square.
        draws: (4,), for a random box instead of the centre; see `resized_crop_box`.

    Returns:
        uint8 (3, S, S): upright by its EXIF orientation, transparent pixels over white, 16 bits scaled to 8, the first
        frame of an animation.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    return decoded(read_bytes(path), framing, draws)


def decoded(data: bytes, framing: Framing, draws: Tensor | None = None) -> Tensor:
    """Decode the bytes of a picture file, as `read_image` does."""
    twice = 2 * _least_px(framing, draws)
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft(image.mode, (twice, twice))  # only JPEG: decodes at a half, a quarter or an eighth
            pixels = pixels_of(image)
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise UnreadableImageError(reason_of(error, data)) from error
    return framed(pixels, framing, draws)


def read_bytes(path: Path) -> bytes:
    """Read a file that should hold a picture.

    Raises:
        UnreadableImageError: It cannot be read, is empty, is a camera's raw data, or is no regular file, such as a
            pipe, which would never end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableImageError("no regular file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a ValueError: no file can have that name
        raise UnreadableImageError(getattr(error, "strerror", None) or str(error)) from error
    if not data:
        raise UnreadableImageError("the file is empty")
    if path.suffix.lower() in RAW:
        raise UnreadableImageError(str(unread_by_name(path.name)))
    return data


def pixels_of(image: Image.Image) -> Tensor:
    """Turn a picture of any mode into uint8 (3, H, W), upright, over white, 16 bits scaled to 8.

    Raises:
        UnreadableImageError: Its numbers have no known range.
    """
    rgb = np.array(to_rgb(ImageOps.exif_transpose(image)))
    return torch.from_numpy(rgb).permute(2, 0, 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, _PAPER), colours).convert("RGB")
    return image.convert("RGB")


def framed(pixels: Tensor, framing: Framing, draws: Tensor | None = None) -> Tensor:
    """Cut and resize uint8 (3, H, W) to (3, S, S), bilinear with antialias."""
    size_px, (height, width) = framing.size_px, pixels.shape[-2:]
    if draws is not None:
        top, left, height, width = resized_crop_box(draws, height, width)
    elif framing.crop_mode == "letterbox":
        return _letterboxed(pixels, size_px)
    else:
        side = max(1, round(framing.crop_pct * min(height, width)))
        top, left, height, width = (height - side) // 2, (width - side) // 2, side, side
    cut = pixels[:, top : top + height, left : left + width]
    resized: Tensor = F.resize(cut, [size_px, size_px], antialias=True)
    return resized.contiguous()


def reason_of(error: Exception, data: bytes = b"") -> str:
    """Say in a few words why a file gives no picture."""
    if isinstance(error, UnreadableImageError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return unread_by_content(data) or "no picture format"
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        return f"{int(pixels[1]):,} pixels: too large to be safe (decompression bomb)" if pixels else "too large"
    text = one_line(error)
    return "truncated" if "truncated" in text or "incomplete" in text else f"damaged ({text[:80]})"


def _eight_bits(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    values = np.asarray(image)
    # Some microscopes write 16 bits into a 32-bit file. Values up to 255 could be 8 bits, so they are refused.
    deep = image.mode == "I" and 0xFF < values.max() <= 0xFFFF and values.min() >= 0
    if not (deep or image.mode.startswith("I;16")):
        raise UnreadableImageError(f"mode {image.mode} has no fixed range; convert it to 8 or 16 bits")
    return (values >> 8).astype(np.uint8)


def _letterboxed(pixels: Tensor, size_px: int) -> Tensor:
    height, width = pixels.shape[-2:]
    scale = size_px / max(height, width)
    inner = [max(1, round(height * scale)), max(1, round(width * scale))]
    square = torch.tensor(_LETTERBOX_FILL, dtype=torch.uint8).view(3, 1, 1).repeat(1, size_px, size_px)
    top, left = (size_px - inner[0]) // 2, (size_px - inner[1]) // 2
    square[:, top : top + inner[0], left : left + inner[1]] = F.resize(pixels, inner, antialias=True)
    return square


def _least_px(framing: Framing, draws: Tensor | None) -> int:
    """Return the shortest side of a picture that need not be enlarged."""
    if draws is not None:
        share = math.sqrt(float(draws[0]))
    else:
        share = 1.0 if framing.crop_mode == "letterbox" else framing.crop_pct
    return math.ceil(int(framing.size_px) / share)


def resized_crop_box(draws: Tensor, height: int, width: int) -> tuple[int, int, int, int]:
    """Place a box in a picture: top, left, height and width.

    torchvision's RandomResizedCrop draws until a box fits. Here one draw is enough: the box is clipped to the picture.

    Args:
        draws: (4,): share of the area, then the places of aspect ratio, top and left in their ranges, each in [0, 1).
        height: H of the picture.
        width: W of the picture.
    """
    area, aspect, y, x = draws.tolist()
    narrow, wide = (math.log(ratio) for ratio in _ASPECTS)
    ratio = math.exp(narrow + (wide - narrow) * aspect)
    box_height = min(height, max(1, round(math.sqrt(area * height * width / ratio))))
    box_width = min(width, max(1, round(math.sqrt(area * height * width * ratio))))
    return int(y * (height - box_height + 1)), int(x * (width - box_width + 1)), box_height, box_width
