"""Sets whose answer is no single class, made of the real pictures: angles, numbers, and mosaics of several classes.

A picture turned by a drawn angle asks for the angle, a hand that shows a digit for its number; four pictures side by
side, of classes drawn with replacement, for all classes that are there. Training and validation have only pictures that
a set has for training, the test only those for the test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from benchmarks.advise.images import PHOTO_PX, pools
from tlearn.base.types import Task

_COUNTS_AS_CLASSES = 10  # as in a race: 25 labels make 250 images
_TEST = 500
_WIDEST_ANGLE = 45.0  # degrees

Made = tuple[Tensor, Tensor]  # uint8 images (N, 3, H, W), float32 targets (N, K)


def draw_task(name: str, labels: int, seed: int, root: Path, out: Path) -> None:
    """Write the images of a scenario and seed; the test images are the same for all seeds.

    Args:
        name: One of `TASKS`.
        labels: A tenth of the training images; validation has a quarter as many.
        seed: Decides which.
        root: Folder with the data sets.
        out: The file.
    """
    dataset, task, make = TASKS[name]
    names, (train_images, train_numbers), (test_images, test_numbers) = pools(dataset, root)
    random = np.random.default_rng(1000 + seed)
    count = _COUNTS_AS_CLASSES * labels
    half = random.permutation(len(train_images))
    held_out, used = half[: len(half) // 5], half[len(half) // 5 :]  # no picture is in a mosaic of both
    content = {
        "task": task,
        "class_names": names if task == "multilabel" else [],
        "train": make(train_images[used], train_numbers[used], len(names), count, random),
        "val": make(train_images[held_out], train_numbers[held_out], len(names), count // 4, random),
        "test": make(test_images, test_numbers, len(names), _TEST, np.random.default_rng(0)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, out)


def _angles(images: Any, numbers: Any, classes: int, count: int, random: np.random.Generator) -> Made:
    rows = _rows(len(images), count, random)
    angles = random.uniform(-_WIDEST_ANGLE, _WIDEST_ANGLE, len(rows))
    turned = [
        F.rotate(torch.from_numpy(images[row]), float(angle), F.InterpolationMode.BILINEAR)
        for row, angle in zip(rows, angles, strict=True)
    ]
    return torch.stack(turned), torch.tensor(angles, dtype=torch.float32)[:, None]


def _numbers(images: Any, numbers: Any, classes: int, count: int, random: np.random.Generator) -> Made:
    rows = _rows(len(images), count, random)
    return torch.from_numpy(images[rows]), torch.tensor(numbers[rows], dtype=torch.float32)[:, None]


def _mosaics(images: Any, numbers: Any, classes: int, count: int, random: np.random.Generator) -> Made:
    made, targets = [], torch.zeros(count, classes)
    for target in targets:
        shown = random.integers(0, classes, size=random.integers(1, 5))  # up to four classes, often fewer
        parts = [random.choice(np.flatnonzero(numbers == number)) for number in np.resize(shown, 4)]
        small = F.resize(torch.from_numpy(images[np.array(parts)]), [PHOTO_PX // 2, PHOTO_PX // 2], antialias=True)
        made.append(torch.cat([torch.cat([*small[:2]], dim=2), torch.cat([*small[2:]], dim=2)], dim=1))
        target[torch.from_numpy(shown)] = 1
    return torch.stack(made), targets


def _rows(images: int, count: int, random: np.random.Generator) -> Any:
    return random.permutation(images)[: min(count, images)]


TASKS: dict[str, tuple[str, Task, Callable[[Any, Any, int, int, np.random.Generator], Made]]] = {
    "leaf_angle": ("apple_leaves", "regression", _angles),
    "xray_angle": ("chest_xray", "regression", _angles),
    "hand_number": ("sign_digits", "regression", _numbers),
    "clothes_mosaic": ("fashion_mnist", "multilabel", _mosaics),
    "cells_mosaic": ("bccd_cells", "multilabel", _mosaics),
    "alphabets_mosaic": ("omniglot_alphabets", "multilabel", _mosaics),
}
