"""Simple properties of pictures, in numbers that a photographer knows: what may have changed between two folders.

Letters: B pictures, C channels, H and W their height and width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # what the eye sees of red, green and blue (ITU-R BT.601)
_LEAST_CONTRAST = 1 / 255  # below it there is nothing to be sharp


class Property(NamedTuple):
    """What is known of a property beside its values.

    Attributes:
        unit: Of its values; empty for a share of full scale.
        least_spread: A standard deviation below it is of no meaning, as that of files which are all of one size.
    """

    unit: str
    least_spread: float


BRIGHTNESS, CONTRAST, SHARPNESS = "brightness", "contrast", "sharpness"
RED_BLUE, GREEN = "colour cast, red minus blue", "colour cast, green"
SIZE, JPEG_QUALITY = "size", "JPEG quality"
OF_FILES = (SIZE, JPEG_QUALITY)
PROPERTIES = {
    BRIGHTNESS: Property("", 0.02),
    CONTRAST: Property("", 0.02),
    RED_BLUE: Property("", 0.02),
    GREEN: Property("", 0.02),
    SHARPNESS: Property("", 0.02),
    SIZE: Property("px", 20.0),
    JPEG_QUALITY: Property("", 2.0),
}


def properties_of(pixels: Tensor) -> dict[str, Tensor]:
    """Measure pictures.

    Args:
        pixels: uint8 (B, C, H, W), as a network gets them.

    Returns:
        Name to values, float32 (B,), shares of full scale: ``brightness``, the mean; ``contrast``, the standard
        deviation; the two of the ``colour cast``, means of red minus blue and of green minus the mean of both, where
        there are three channels; ``sharpness``, the mean difference of neighbours divided by the contrast, so that
        it does not move with it.
    """
    values = pixels.float() / 255
    is_colour = values.shape[1] == 3
    grey = torch.einsum("bchw,c->bhw", values, torch.tensor(_LUMA)) if is_colour else values.mean(dim=1)
    contrast = grey.flatten(1).std(dim=1, correction=0)
    differences = [grey.diff(dim=dim).abs().flatten(1) for dim in (1, 2)]
    slope = torch.cat(differences, dim=1).mean(dim=1).nan_to_num(0.0)  # one pixel has no neighbour
    found = {BRIGHTNESS: grey.mean(dim=(1, 2)), CONTRAST: contrast}
    if is_colour:
        red, green, blue = values.mean(dim=(2, 3)).unbind(dim=1)
        found |= {RED_BLUE: red - blue, GREEN: green - (red + blue) / 2}
    return found | {SHARPNESS: torch.where(contrast < _LEAST_CONTRAST, 0.0, slope / contrast.clamp_min(1e-9))}


def properties_of_files(facts: Sequence[tuple[float, float]]) -> dict[str, Tensor]:
    """Return ``size``, the side in px, and ``JPEG quality`` of files; NaN where one has none.

    Args:
        facts: The two of each file.
    """
    if not facts:
        return {}
    sides, qualities = torch.tensor(facts, dtype=torch.float32).reshape(-1, 2).unbind(dim=1)
    return {SIZE: sides, JPEG_QUALITY: qualities}


class Moved(NamedTuple):
    """How far a property moved.

    Attributes:
        name: Of the property.
        before: Its mean over the training pictures.
        after: Its mean over the new ones.
        difference: ``after - before`` in standard deviations of one picture (Cohen's d).
        standard_errors: The same difference in standard errors of the two means: within 2 is chance.
    """

    name: str
    before: float
    after: float
    difference: float
    standard_errors: float


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[Moved]:
    """Compare properties of two sets of pictures.

    Args:
        before: Name to values of training pictures; a value that is no number is left out.
        after: The same of new pictures. What only one of them knows, or knows of fewer than two pictures, is left out.

    Returns:
        The properties, the one that moved most first.
    """
    found = list[Moved]()
    for name in before:
        known, new = (values[values.isfinite()].double() for values in (before[name], after.get(name, torch.empty(0))))
        if min(len(known), len(new)) < 2:
            continue
        least = PROPERTIES[name].least_spread if name in PROPERTIES else 0.0
        spreads = [max(float(values.std()), least) for values in (known, new)]
        pooled = (sum(spread**2 for spread in spreads) / 2) ** 0.5
        error = (spreads[0] ** 2 / len(known) + spreads[1] ** 2 / len(new)) ** 0.5
        shift = float(new.mean() - known.mean())
        found.append(Moved(name, float(known.mean()), float(new.mean()), shift / pooled, shift / error))
    return sorted(found, key=lambda each: -abs(each.difference))
