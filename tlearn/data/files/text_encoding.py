"""Bits per channel and JPEG quality of a picture file, read from its header."""

from __future__ import annotations

from typing import Any

from PIL import Image

_BITS_OF_MODE = {"1": 1, "I": 32, "F": 32}
_TIFF_BITS = 258  # the tag BitsPerSample
_LIBJPEG_SUM = 3689  # of libjpeg's luminance table at quality 50


def bits_of(image: Image.Image) -> int:
    """Return the bits per channel of a picture that is opened and not loaded yet."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None and tags.get(_TIFF_BITS):
        return int(max(tags[_TIFF_BITS]))
    tiles: Any = getattr(image, "tile", None)
    layout = str(tiles[0][3]) if tiles else ""
    return 16 if image.mode.startswith("I;16") or ";16" in layout else _BITS_OF_MODE.get(image.mode, 8)


def jpeg_quality_of(image: Image.Image) -> int:
    """Return the quality whose libjpeg luminance table has nearly the sum of the file's; 0 without a table."""
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    if not tables:
        return 0
    percent = 100 * sum(tables[min(tables)]) / _LIBJPEG_SUM
    return round(max(1.0, 100 - percent / 2 if percent <= 100 else 5000 / percent))
