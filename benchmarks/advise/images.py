"""The images of a scenario: few labels drawn from real data, a small validation set, and test images nobody sees.

Validation has a quarter as many images a class as training, for who has few labels has few to validate with too.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.images.augment import NO_AUGMENT, Augment
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.in_memory import InMemoryImages

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PHOTO_PX = 128
_MOST_TEST = 1000
_FEWEST_VAL = 2  # of a class
_ENDINGS = (".jpg", ".jpeg", ".png")


class DrawnDataModule(ImageDataModule):
    """Images that `draw` wrote to a file."""

    def __init__(self, path: str, batch_size: int = 32, augment: Augment = NO_AUGMENT) -> None:
        """Take the options.

        Args:
            path: The file.
            batch_size: Images in a batch.
            augment: Random changes to training images.
        """
        self.stored = torch.load(path, weights_only=True)
        task = self.stored.get("task", "classification")
        names = list(self.stored["class_names"])
        super().__init__(class_names=names, task=task, batch_size=batch_size, augment=augment)

    def open_split(self, split: Split) -> ImageSet:
        """Take a split out of the file."""
        images, targets = self.stored[split]
        return InMemoryImages(images, targets, torch.arange(len(targets)))


def draw(dataset: str, classes: Sequence[str], labels: int, seed: int, root: Path, out: Path) -> None:
    """Write the images of a scenario and seed.

    Args:
        dataset: ``cifar10``, ``hymenoptera``, ``digits``, or a folder in ``sets`` with ``train/<class>`` and
            ``test/<class>``.
        classes: Names to use, in this order; none for all.
        labels: Training images of each class.
        seed: Decides which; another seed draws other ones. The test images are the same for all.
        root: Folder with the data sets.
        out: The file.
    """
    names, pool, test = pools(dataset, root)
    classes = classes or names
    numbers = [names.index(name) for name in classes]
    random = np.random.default_rng(1000 + seed)
    count_val = max(_FEWEST_VAL, round(labels / 4))
    train, val = list[Any](), list[Any]()
    for number in numbers:
        rows = random.permutation(np.flatnonzero(pool[1] == number))
        val.append(rows[:count_val])
        train.append(rows[count_val : count_val + labels])
        if len(train[-1]) < labels:
            raise SystemExit(f"{dataset} has too few images of {names[number]} for {labels} + {count_val}")
    shown = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(test[1], numbers)))[:_MOST_TEST]
    splits = {"train": (pool, np.concatenate(train)), "val": (pool, np.concatenate(val)), "test": (test, shown)}
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {"class_names": list(classes)}
        | {name: _part(source, rows, numbers) for name, (source, rows) in splits.items()},
        out,
    )


@lru_cache(maxsize=1)
def pools(dataset: str, root: Path) -> tuple[list[str], tuple[Any, Any], tuple[Any, Any]]:
    """Return names of classes, and images (N, C, H, W) with class numbers (N,), for training and for the test."""
    return SOURCES[dataset](root) if dataset in SOURCES else _of_folder(root / "sets" / dataset)


def _part(source: tuple[Any, Any], rows: Any, numbers: list[int]) -> tuple[Tensor, Tensor]:
    place = {number: index for index, number in enumerate(numbers)}
    return torch.from_numpy(source[0][rows]), torch.tensor([place[int(label)] for label in source[1][rows]])


def _cifar10(root: Path) -> tuple[list[str], tuple[Any, Any], tuple[Any, Any]]:
    folder = root / "cifar" / "cifar-10-batches-py"

    def read(*files: str) -> tuple[Any, Any]:
        parts = [pickle.loads((folder / file).read_bytes(), encoding="latin1") for file in files]
        images = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        return images, np.concatenate([part["labels"] for part in parts])

    return list(CIFAR), read(*(f"data_batch_{number}" for number in range(1, 6))), read("test_batch")


def _hymenoptera(root: Path) -> tuple[list[str], tuple[Any, Any], tuple[Any, Any]]:
    names = ["ants", "bees"]
    return names, _photos(root / "hym" / "train", names), _photos(root / "hym" / "val", names)


def _of_folder(root: Path) -> tuple[list[str], tuple[Any, Any], tuple[Any, Any]]:
    names = sorted(path.name for path in (root / "train").iterdir() if path.is_dir())
    return names, _photos(root / "train", names), _photos(root / "test", names)


def _photos(root: Path, names: Sequence[str]) -> tuple[Any, Any]:
    images, labels = [], []
    for number, name in enumerate(names):
        for path in sorted(path for path in (root / name).iterdir() if path.suffix in _ENDINGS):
            photo = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
            small = F.center_crop(F.resize(photo, [PHOTO_PX], antialias=True), [PHOTO_PX])
            images.append(small.numpy())
            labels.append(number)
    return np.stack(images), np.array(labels)


def _digits(root: Path) -> tuple[list[str], tuple[Any, Any], tuple[Any, Any]]:
    digits = load_digits()
    small = torch.from_numpy(digits.images)[:, None].float() * (255 / 16)
    images = F.resize(small, [32, 32]).round().to(torch.uint8).repeat(1, 3, 1, 1).numpy()
    order = np.random.default_rng(0).permutation(len(images))
    pool, test = order[:1300], order[1300:]
    return (
        list("0123456789"),
        (images[pool], digits.target[pool]),
        (images[test], digits.target[test]),
    )


SOURCES = {"cifar10": _cifar10, "hymenoptera": _hymenoptera, "digits": _digits}
