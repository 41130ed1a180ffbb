"""Features of real pictures, computed once and kept, for measurements that need thousands of small fits.

    python -m benchmarks.believe.features --root DATA --weights FILE

DATA holds ``cifar/`` (CIFAR-10 in torchvision's format), ``hym/`` (ants and bees) and ``sets/NAME/`` (folders with
``train`` and ``test``); FILE is EfficientNet-Lite0 as timm names it. N images, D features.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from benchmarks.advise.images import PHOTO_PX, SOURCES
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions

NETWORK = "timm/tf_efficientnet_lite0"
SIZE_PX = 128
_MOST = {"cifar10": (12_000, 4_000)}  # images of the training and the test part; all by default
_BATCH = 64


class Pictures(NamedTuple):
    """Real pictures with labels, in one place.

    Attributes:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        is_test: bool (N,), of the data set's own test part.
        names: What each picture is called; a file name tells a board, a drawer, a patient.
        class_names: K names.
    """

    images: Tensor
    labels: Tensor
    is_test: Tensor
    names: list[str]
    class_names: list[str]


class FeatureSet(NamedTuple):
    """The features of `Pictures`, float32 (N, D), and the rest of it."""

    features: Tensor
    labels: Tensor
    is_test: Tensor
    names: list[str]
    class_names: list[str]


def pictures_of(name: str, root: Path) -> Pictures:
    """Read a data set: ``cifar10``, ``hymenoptera``, ``digits``, or a folder under ``sets``."""
    if name not in SOURCES:
        return _folder(root / "sets" / name)
    class_names, *parts = SOURCES[name](root)
    images, labels, is_test = list[Tensor](), list[Tensor](), list[Tensor]()
    for number, ((pixels, targets), most) in enumerate(zip(parts, _MOST.get(name, (None, None)), strict=True)):
        images.append(torch.from_numpy(pixels[:most]))
        labels.append(torch.as_tensor(targets[:most]).long())
        is_test.append(torch.full((len(labels[-1]),), bool(number)))
    count = sum(map(len, labels))
    return Pictures(
        torch.cat(images), torch.cat(labels), torch.cat(is_test), [f"{n}" for n in range(count)], class_names
    )


def _folder(folder: Path) -> Pictures:
    class_names = sorted(each.name for each in (folder / "train").iterdir() if each.is_dir())
    images, labels, is_test, names = list[Tensor](), list[int](), list[bool](), list[str]()
    for split in ("train", "test"):
        for number, class_name in enumerate(class_names):
            for path in sorted((folder / split / class_name).iterdir()):
                photo = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
                images.append(F.center_crop(F.resize(photo, [PHOTO_PX], antialias=True), [PHOTO_PX]))
                labels.append(number)
                is_test.append(split == "test")
                names.append(path.name)
    return Pictures(torch.stack(images), torch.tensor(labels), torch.tensor(is_test), names, class_names)


def network(weights: Path) -> Network:
    """Return the pretrained network, in eval mode; its head is of no use."""
    return Network(NetworkOptions(1, backbone=NETWORK, weights=str(weights), image_size=SIZE_PX)).eval()


@torch.inference_mode()
def features_of(net: Network, images: Tensor) -> Tensor:
    """Turn uint8 (N, 3, H, W) into float32 (N, D)."""
    return torch.cat([net.features(part) for part in images.split(_BATCH)]).float()


def feature_set(name: str, root: Path, weights: Path | None = None) -> FeatureSet:
    """Return the features of a data set: from ``root/believe/NAME.pt``, or computed and kept there."""
    path = root / "believe" / f"{name}.pt"
    if not path.exists():
        assert weights is not None, f"no {path}; give --weights"
        pictures = pictures_of(name, root)
        features = features_of(network(weights), pictures.images)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**pictures._asdict(), "images": features}, path)
    stored = torch.load(path, weights_only=True)
    return FeatureSet(stored.pop("images"), **stored)


def main() -> None:
    """Compute the features of all data sets that are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    given = parser.parse_args()
    found = sorted(path.name for path in (given.root / "sets").iterdir()) if (given.root / "sets").exists() else []
    for name in ("hymenoptera", "digits", *found, "cifar10"):
        print(name, tuple(feature_set(name, given.root, given.weights).features.shape), flush=True)


if __name__ == "__main__":
    main()
