"""Real pictures changed in one thing, for `benchmarks/believe/drift.py`: their features and simple properties.

    python -m benchmarks.believe.drift_pictures --root DATA --weights FILE

DATA and FILE as for `benchmarks/believe/features.py`. N pictures, D features.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg
from torchvision.transforms.v2 import functional as F

from benchmarks.believe.features import Pictures, features_of, network, pictures_of
from tlearn.models.reliability.properties import properties_of

SETS_TO_CHOOSE_ON = ("hymenoptera", "cifar10")  # the kernel was chosen among seven on these
SETS_TO_REPORT = (
    *("grocery_fine", "bccd_cells", "apple_leaves", "chest_xray", "digits", "fashion_mnist", "omniglot_alphabets"),
    *("pcb_defects", "sign_digits", "spoken_digit_spectrograms"),
)
UNCHANGED = "none"
_MOST = 300  # pictures of a set that are changed; of the first four sets 600
_SHARP_PX = 128  # blur is told for this side


def _scaled(images: Tensor, red: float, green: float, blue: float) -> Tensor:
    factors = torch.tensor([red, green, blue]).view(1, 3, 1, 1)
    return (images.float() * factors).round().clamp(0, 255).to(torch.uint8)


def _contrast(images: Tensor, factor: float) -> Tensor:
    means = images.float().mean(dim=(1, 2, 3), keepdim=True)
    return (means + (images.float() - means) * factor).round().clamp(0, 255).to(torch.uint8)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    sigma = sigma * images.shape[-1] / _SHARP_PX
    size = 2 * max(1, round(3 * sigma)) + 1
    blurred: Tensor = F.gaussian_blur(images, [size, size], [sigma, sigma])
    return blurred


def _jpeg(images: Tensor, quality: int) -> Tensor:
    return torch.stack([decode_jpeg(encode_jpeg(image, quality=quality)) for image in images])


def _smaller(images: Tensor, part: int) -> Tensor:
    side = images.shape[-1]
    again: Tensor = F.resize(
        F.resize(images, [side // part, side // part], antialias=True), [side, side], antialias=True
    )
    return again


CHANGES: dict[tuple[str, str], Callable[[Tensor], Tensor]] = {
    ("brightness", "weak"): partial(_scaled, red=0.8, green=0.8, blue=0.8),
    ("brightness", "strong"): partial(_scaled, red=0.6, green=0.6, blue=0.6),
    ("contrast", "weak"): partial(_contrast, factor=0.75),
    ("contrast", "strong"): partial(_contrast, factor=0.5),
    ("colour cast", "weak"): partial(_scaled, red=1.1, green=1.0, blue=0.9),
    ("colour cast", "strong"): partial(_scaled, red=1.2, green=1.0, blue=0.8),
    ("blur", "weak"): partial(_blurred, sigma=1.0),
    ("blur", "strong"): partial(_blurred, sigma=2.0),
    ("JPEG quality", "weak"): partial(_jpeg, quality=40),
    ("JPEG quality", "strong"): partial(_jpeg, quality=15),
    ("size", "weak"): partial(_smaller, part=2),
    ("size", "strong"): partial(_smaller, part=4),
}


def changed(name: str, root: Path, weights: Path | None = None) -> dict[str, Tensor]:
    """Return what is known of the changed pictures of a data set: kept, or computed and kept.

    Returns:
        ``rows`` (N,), which pictures of the set; ``CHANGE STRENGTH`` to float16 features (N, D), and
        ``CHANGE STRENGTH: PROPERTY`` to values (N,). ``none`` is without a change.
    """
    path = root / "believe" / "drift" / f"{name}.pt"
    if not path.exists():
        assert weights is not None, f"no {path}; run benchmarks.believe.drift_pictures with --weights"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(_computed(pictures_of(name, root), weights), path)
    found: dict[str, Tensor] = torch.load(path, weights_only=True)
    return found


def _computed(pictures: Pictures, weights: Path) -> dict[str, Tensor]:
    net = network(weights)
    rows = torch.randperm(len(pictures.labels), generator=torch.Generator().manual_seed(0))[:_MOST]
    images, found = pictures.images[rows], {"rows": rows}
    same: dict[str, Callable[[Tensor], Tensor]] = {UNCHANGED: lambda images: images}
    for key, change in (same | {" ".join(key): change for key, change in CHANGES.items()}).items():
        after = change(images)
        found[key] = features_of(net, after).half()
        found |= {f"{key}: {name}": values for name, values in properties_of(after).items()}
    return found


def main() -> None:
    """Compute them for all data sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    for name in (*SETS_TO_CHOOSE_ON, *SETS_TO_REPORT):
        print(name, len(changed(name, given.root, given.weights)["rows"]), flush=True)


if __name__ == "__main__":
    main()
