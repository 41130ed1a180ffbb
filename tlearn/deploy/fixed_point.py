"""torchvision's resizing of uint8 pictures as two matrix products, for graphs that lack it. Letters: N, H and W, S.

On a CPU torch resizes uint8 in whole numbers: along each axis it rounds the weights to multiples of 2^-p and the sum to
a grey level, the width first (aten/src/ATen/native/cpu/UpSampleKernel.cpp, torch 2.14). The same numbers come out here.
Processors with neither AVX2 nor NEON resize in float32, often a grey level apart; the check of the export refuses then.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MOST_BITS = 22  # of p, in torch
_EXACT_BITS = 16  # up to here 255 * 2^p and a half fit float32's 24 bits


class FixedPointResize(nn.Module):
    """Square uint8 pictures to squares of another side: bilinear with antialias, bit for bit torchvision's.

    Args:
        from_px: Side of the pictures that come.
        to_px: Side wanted.
    """

    weights: Tensor

    def __init__(self, from_px: int, to_px: int) -> None:
        super().__init__()
        weights, bits = integer_weights(from_px, to_px)
        dtype = torch.float32 if bits <= _EXACT_BITS else torch.float64
        self.register_buffer("weights", torch.from_numpy(weights / 2.0**bits).to(dtype))

    def forward(self, images: Tensor) -> Tensor:
        """Turn uint8 (N, 3, H, H) into whole numbers from 0 to 255, float32 (N, 3, S, S)."""
        wide = torch.floor(images.to(self.weights.dtype) @ self.weights.T + 0.5)
        high = torch.floor(self.weights @ wide + 0.5)
        return high.clamp(0, 255).float()


def integer_weights(from_px: int, to_px: int) -> tuple[NDArray[np.float64], int]:
    """Return the weights along one axis as whole numbers (S, H), and p: they are meant in units of 2^-p."""
    scale = from_px / to_px
    reach = max(scale, 1.0)
    centres = scale * (np.arange(to_px) + 0.5)
    pixels = np.arange(from_px)
    first = np.maximum((centres - reach + 0.5).astype(int), 0)[:, None]
    end = np.minimum((centres + reach + 0.5).astype(int), from_px)[:, None]
    weights = np.maximum(0.0, 1 - np.abs(pixels - centres[:, None] + 0.5) / reach) * (
        (first <= pixels) & (pixels < end)
    )
    weights /= weights.sum(axis=1, keepdims=True)
    fitting = (p for p in range(_MOST_BITS) if int(0.5 + weights.max() * 2 ** (p + 1)) >= 2**15)
    bits = next(fitting, _MOST_BITS)
    return np.floor(0.5 + weights * 2**bits), bits
