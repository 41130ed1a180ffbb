"""What the former build takes from the package `imagehash`, for where it is not installed: a perceptual hash."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from PIL import Image


def phash(image: Image.Image) -> SimpleNamespace:
    """Hash a picture as `imagehash.phash` does: ``.hash`` holds 8 x 8 bits, low frequencies over their median."""
    from scipy.fft import dct  # here, as in the package: a start that hashes nothing does not wait for it

    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    lowest = dct(dct(grey, axis=0), axis=1)[:8, :8]
    return SimpleNamespace(hash=lowest > np.median(lowest))
