"""Tell features that say nothing from features that say little. N images, D features.

The same picture has other last bits in a batch of another size. A head that is solved on nothing but those bits scales
them up until it knows some of the training images by heart, and reports an accuracy that cannot be.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Of blank pictures, a feature's standard deviation over its size was at most 4e-5 in float32 (nine networks on a CPU);
# a single pixel 3 grey levels off gave 1e-3 and more. GPUs that multiply in TF32 round to 2^-11.
FLOAT32_ROUNDING = 2.0**-12


def rounding_of(precision: str) -> float:
    """Return how far, relative to its size, a feature may lie from what it is, by Lightning's name of a precision."""
    if "bf16" in precision:
        return torch.finfo(torch.bfloat16).eps
    return torch.finfo(torch.float16).eps if precision.startswith("16") else FLOAT32_ROUNDING


def are_alike(features: Tensor, rounding: float = FLOAT32_ROUNDING) -> bool:
    """Tell whether features (N, D) differ between images by no more than rounding.

    A feature that varies is enough for no. Each is measured by its own size or, where that is small, by the median one:
    a feature may be small because large numbers cancel out, and then it has their rounding.

    Args:
        features: float32, of images that should differ.
        rounding: Relative to a feature's size, see `rounding_of`.
    """
    if len(features) < 2:
        return False
    sizes = features.square().mean(dim=0).sqrt()
    alive = sizes[sizes > 0]
    if not len(alive):
        return True
    deviations = features.std(dim=0, correction=0)
    return bool((deviations <= rounding * sizes.clamp_min(float(alive.median()))).all())
