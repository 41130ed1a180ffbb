"""Tell whether features differ between images by more than rounding. N images, D features.

The same picture gets other last bits in a batch of another size. A head that is solved on features which differ in
those bits alone would learn some of the training images by heart, and report an accuracy that means nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Of blank pictures, a feature's standard deviation over its size was at most 4e-5 in float32 (nine networks on a CPU);
# a single pixel 3 grey levels off gave 1e-3 and more. GPUs that multiply in TF32 round to 2^-11.
FLOAT32_ROUNDING = 2.0**-12


def rounding_of(precision: str) -> float:
    """Return the relative rounding error of features, for a precision as Lightning names it."""
    if "bf16" in precision:
        return torch.finfo(torch.bfloat16).eps
    return torch.finfo(torch.float16).eps if precision.startswith("16") else FLOAT32_ROUNDING


def are_alike(features: Tensor, rounding: float = FLOAT32_ROUNDING) -> bool:
    """Tell whether features (N, D) differ between images by no more than rounding.

    One feature that varies is enough to answer no. Each is compared with its own size, or with the median size if that
    is larger: a feature may be small because large numbers cancel out, and then it has their rounding error.

    Args:
        features: float32, of images that should differ.
        rounding: Relative to the size of a feature, see `rounding_of`.
    """
    if len(features) < 2:
        return False
    sizes = features.square().mean(dim=0).sqrt()
    alive = sizes[sizes > 0]
    if not len(alive):
        return True
    deviations = features.std(dim=0, correction=0)
    return bool((deviations <= rounding * sizes.clamp_min(float(alive.median()))).all())
