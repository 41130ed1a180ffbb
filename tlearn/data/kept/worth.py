"""Which pictures are worth keeping decoded, and how much that takes. W, H pixels of a picture, S those of a square."""

from __future__ import annotations

import math

# A picture of so many times the pixels of what is kept. JPEG takes some 8 ns a pixel to decode, a disk 1 ms for a MB:
# from here on reading is ten times as fast, and below it the files are nearly as small as the pixels.
LEAST_RATIO = 4
LEAST_SHARE = 0.1  # of the crops, for which a fraction of a picture is kept: a half takes as much as four quarters
_FRACTIONS = (8, 4, 2)  # at which libjpeg decodes, as Pillow asks it to; the coarsest that suffices is taken


def squares_are_worth(width: int, height: int, size_px: int) -> bool:
    """Tell whether the square that a picture becomes is worth keeping."""
    return width * height >= LEAST_RATIO * size_px**2


def fraction_of_jpeg(width: int, height: int, least_px: int) -> int:
    """Return at which fraction a JPEG file is decoded: 8 for an eighth of its width and height, 1 for all pixels.

    Args:
        width: W of the file.
        height: H of the file.
        least_px: The short side that need not be enlarged.
    """
    scale = min(width, height) // (2 * least_px)
    return next((fraction for fraction in _FRACTIONS if scale >= fraction), 1)


def least_area_of(fraction: int, width: int, height: int, size_px: int) -> float:
    """Return the smallest share of a picture for which a file at this fraction suffices; above 1 where none does."""
    least_px = min(width, height) // (2 * fraction)
    return (size_px / least_px) ** 2 if least_px else math.inf


def fractions_of_crops(width: int, height: int, size_px: int, least_area: float) -> list[int]:
    """Return the fractions, 2 or more, at which a JPEG file is worth keeping for random crops.

    Args:
        width: W of the file.
        height: H of the file.
        size_px: S.
        least_area: The smallest share of the picture that a crop takes; up to 1 all are as likely.
    """
    worth, upper = [], 1.0
    for fraction in _FRACTIONS:
        lower = min(upper, max(least_area, least_area_of(fraction, width, height, size_px)))
        if upper - lower >= LEAST_SHARE * (1 - least_area):
            worth.append(fraction)
        upper = lower
    return worth


def bytes_of_fraction(width: int, height: int, fraction: int, channels: int) -> int:
    """Return the size of a picture that is decoded at a fraction."""
    return math.ceil(width / fraction) * math.ceil(height / fraction) * channels
