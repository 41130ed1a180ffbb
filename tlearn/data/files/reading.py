"""Read a picture file of any mode and size as uint8 pixels. Letters: H and W pixels, S the side of the square.

Pillow decodes all formats. For a JPEG file of 500 x 375 px torchvision's decoder takes 1.4 ms and Pillow 1.8 ms, but
torchvision's is deprecated (0.29). Large photographs are much quicker with Pillow, which decodes them at a fraction of
their size. torch resizes uint8 in half the time that Pillow takes.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jsonargparse.typing import PositiveInt
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tlearn.data.decoding.decode import decode, decode_and_remark, pixels_and_remark
from tlearn.data.decoding.decode import pixels_of as pixels_of
from tlearn.data.decoding.decode import reason_of as reason_of
from tlearn.data.decoding.decode import to_rgb as to_rgb
from tlearn.data.decoding.foreign_formats import RAW, unread_by_name
from tlearn.data.decoding.reading_options import BEFORE, Reading, reading_in, stored_reading
from tlearn.data.decoding.samples import UnreadableImageError as UnreadableImageError

DEFAULT_SIZE_PX = 224  # the training size of nearly all ImageNet networks
CROP_PCT = 0.875  # 224 of 256 px, the usual ImageNet evaluation
# ImageNet's mean colour, which normalisation turns into 0.
_LETTERBOX_FILL = (124, 116, 104)
_ASPECTS = (3 / 4, 4 / 3)  # range of a random crop's aspect ratio
_LARGE_BYTES = 2**27  # a file that is not read at once: a pyramid of gigabytes must not fill the memory


@dataclass(frozen=True)
class Framing:
    """How pictures of all sizes become squares of one size.

    Attributes:
        size_px: Side S of the square.
        crop_mode: ``center`` cuts the centre out; ``letterbox`` shows the whole picture, with bars in ImageNet's mean
            colour.
        crop_pct: Side of the centre, as a share of the short side (timm's name); 0.875 is 224 of 256 px.
        reading: How a file's numbers become uint8 channels.
    """

    size_px: PositiveInt = DEFAULT_SIZE_PX
    crop_mode: Literal["center", "letterbox"] = "center"
    crop_pct: float = CROP_PCT
    reading: Reading = field(default_factory=Reading)

    def __repr__(self) -> str:
        """Show the reading only where it changes pictures of 8 bits: fingerprints of older runs hold this text."""
        square = f"size_px={self.size_px}, crop_mode={self.crop_mode!r}, crop_pct={self.crop_pct}"
        is_plain = replace(self.reading, ranges=self.reading.ranges or None) in (BEFORE, Reading())
        return f"Framing({square}{'' if is_plain else f', reading={self.reading}'})"


class Place(NamedTuple):
    """A rectangle in a picture or square, in pixels."""

    top: int
    left: int
    height: int
    width: int


def framing_in(pictures: Mapping[str, Any]) -> Framing:
    """Return the framing that a checkpoint keeps.

    Raises:
        TlearnError: It was written by a newer tlearn.
    """
    square = {name: value for name, value in pictures.items() if name != "reading"}
    return Framing(**square, reading=reading_in(stored_reading(pictures)))


def read_image(
    path: Path, framing: Framing, draws: Tensor | None = None, part: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Read a picture file.

    Args:
        path: The file.
        framing: How it becomes a square.
        draws: (4,), for a random box instead of the centre; see `resized_crop_box`.
        part: Cuts the object out of the whole upright picture (C, H, W), before it is framed.

    Returns:
        uint8 (C, S, S): upright by its orientation, transparent pixels over white; what numbers, bands and planes
        become is in ``framing.reading``.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    return framed(unframed(path, framing, draws, part), framing, draws)


def unframed(
    path: Path, framing: Framing, draws: Tensor | None = None, part: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Decode a picture file as `read_image` does, large enough for the square that is cut from it; uint8 (C, H, W).

    Raises:
        UnreadableImageError: It gives no picture.
    """
    source = read_source(path)
    if part is not None:  # all pixels: how large the object is in the picture is not known here
        return part(decode(source, framing.reading))
    return decode(source, framing.reading, least_px_of(framing, draws))


def read_and_remark(picture: Path | bytes | Image.Image, framing: Framing) -> tuple[Tensor, str]:
    """Read a picture file, or an image that Pillow has opened, and say what sets it apart from the training pictures.

    Args:
        picture: A path, the bytes of a file, or an image.
        framing: How it becomes a square.

    Returns:
        As `read_image` does, and the remark; see `tlearn.data.decoding.intensity`.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    least_px = least_px_of(framing, None)
    if isinstance(picture, Image.Image):
        pixels, remark = pixels_and_remark(picture, framing.reading, least_px)
    else:
        source = picture if isinstance(picture, bytes) else read_source(picture)
        pixels, remark = decode_and_remark(source, framing.reading, least_px)
    return framed(pixels, framing), remark


def decoded(source: bytes | Path, framing: Framing, draws: Tensor | None = None) -> Tensor:
    """Decode the bytes of a picture file, or a large file at a path, as `read_image` does."""
    return framed(decode(source, framing.reading, least_px_of(framing, draws)), framing, draws)


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
    check_bytes(data, path.name)
    return data


def check_bytes(data: bytes, name: str) -> None:
    """Check what a file of some name holds, before it is decoded.

    Raises:
        UnreadableImageError: It is empty, or a camera's raw data.
    """
    if not data:
        raise UnreadableImageError("the file is empty")
    if Path(name).suffix.lower() in RAW:
        raise UnreadableImageError(str(unread_by_name(name)))


def read_source(path: Path) -> bytes | Path:
    """Read a file as `read_bytes` does; of one so large that it is decoded from the disk return the path.

    Raises:
        UnreadableImageError: As `read_bytes`.
    """
    return path if _is_large(path) else read_bytes(path)


def _is_large(path: Path) -> bool:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size > _LARGE_BYTES


def framed(pixels: Tensor, framing: Framing, draws: Tensor | None = None) -> Tensor:
    """Cut and resize uint8 (C, H, W) to (C, S, S), bilinear with antialias."""
    size_px, (height, width) = framing.size_px, pixels.shape[-2:]
    if draws is not None:
        top, left, height, width = resized_crop_box(draws, height, width)
    else:
        (top, left, height, width), bars = shown_part(framing, height, width)
        if bars is not None:
            return _letterboxed(pixels, size_px, bars)
    cut = pixels[:, top : top + height, left : left + width]
    resized: Tensor = F.resize(cut, [size_px, size_px], antialias=True)
    return resized.contiguous()


def shown_part(framing: Framing, height: int, width: int) -> tuple[Place, Place | None]:
    """Return which part of a picture (H, W) the square shows.

    Returns:
        Its place in the picture, and its place in the square where there are bars round it; else ``None``.
    """
    if framing.crop_mode == "letterbox":
        size_px = int(framing.size_px)
        scale = size_px / max(height, width)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        return Place(0, 0, height, width), Place((size_px - inner[0]) // 2, (size_px - inner[1]) // 2, *inner)
    side = max(1, round(framing.crop_pct * min(height, width)))
    return Place((height - side) // 2, (width - side) // 2, side, side), None


def _letterboxed(pixels: Tensor, size_px: int, bars: Place) -> Tensor:
    top, left, *inner = bars
    fill = _LETTERBOX_FILL if len(pixels) == 3 else (0,) * len(pixels)
    square = torch.tensor(fill, dtype=torch.uint8).view(-1, 1, 1).repeat(1, size_px, size_px)
    square[:, top : top + inner[0], left : left + inner[1]] = F.resize(pixels, inner, antialias=True)
    return square


def least_px_of(framing: Framing, draws: Tensor | None) -> int:
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
