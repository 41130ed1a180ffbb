"""Made-up photographs as JPEG files in class folders: structure at all scales, about 40 KB each like real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE_PX = (500, 375)  # what most of the ants and bees have
_GRAIN = 9.0


def photograph(number: int, size_px: tuple[int, int] = SIZE_PX) -> Image.Image:
    """Soft shapes under grain, decided by the number."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize(size_px, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.standard_normal((size_px[1] // 2, size_px[0] // 2)).astype(np.float32) * _GRAIN
    grain = np.kron(grain, np.ones((2, 2), np.float32))
    full = np.zeros(pixels.shape[:2], np.float32)
    full[: grain.shape[0], : grain.shape[1]] = grain
    return Image.fromarray((pixels + full[:, :, None]).clip(0, 255).astype(np.uint8))


def write_photographs(root: Path, images: int, classes: int = 2, size_px: tuple[int, int] = SIZE_PX) -> Path:
    """Write ``root/train/<class>/*.jpg``, this many in all."""
    for number in range(images):
        folder = root / "train" / f"class{number % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        photograph(number, size_px).save(folder / f"{number:06d}.jpg", quality=85)
    return root
