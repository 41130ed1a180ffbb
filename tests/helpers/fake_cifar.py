"""A small CIFAR-10 in the real one's files, with its checksums made known to torchvision. Never the real data."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write_fake_cifar10(root: Path, per_class_train: int = 10, per_class_test: int = 2) -> None:
    """Write the seven files; images of a class share a tint, so that a network can learn them.

    Args:
        root: Folder to hold ``cifar-10-batches-py``.
        per_class_train: Training images of each class, dealt out over the five batches.
        per_class_test: Test images of each class.
    """
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    tints = rng.integers(40, 216, (10, 3, 1))

    def write(name: str, labels: list[int]) -> None:
        pixels = np.clip(tints[labels] + rng.normal(0, 20, (len(labels), 3, 1024)), 0, 255).astype(np.uint8)
        batch = {"data": pixels.reshape(-1, 3072), "labels": labels, "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))

    train = [int(label) for label in rng.permutation(np.repeat(np.arange(10), per_class_train))]
    for number, (name, _) in enumerate(CIFAR10.train_list):
        write(name, train[number::5])
    write(CIFAR10.test_list[0][0], list(range(10)) * per_class_test)
    (folder / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({"label_names": CLASSES}, protocol=2))


def patch_checksums(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Tell torchvision the checksums of the files under ``root``."""

    def md5(name: str) -> str:
        return str(calculate_md5(root / CIFAR10.base_folder / name))

    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5(name)] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, md5(name)] for name, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(CIFAR10.meta["filename"])})
