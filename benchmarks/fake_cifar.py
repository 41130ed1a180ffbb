"""Random images in the shape of CIFAR-10, in memory and in its on-disk format. N images."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10

CLASSES = 10
SIZE_PX = 32
TEST_IMAGES = 100  # never trained on; the folder only has to be complete
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def fake_images(images: int, seed: int = 0) -> tuple[Pixels, Labels]:
    """Random pixels (N, 3, 32, 32) and labels (N,), equally many of each class."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (images, 3, SIZE_PX, SIZE_PX), dtype=np.uint8)
    return pixels, rng.permutation(np.arange(images) % CLASSES)


def write_fake_cifar10(root: Path, images: int) -> None:
    """Write CIFAR-10's files below ``root``, this many training images, and make torchvision accept their checksums."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = fake_images(images)
    parts = [(f"data_batch_{i + 1}", pixels[i::5], labels[i::5]) for i in range(5)]
    parts.append(("test_batch", *fake_images(TEST_IMAGES, seed=1)))
    sums = {name: _write(folder / name, _batch(name, x, y)) for name, x, y in parts}
    sums["batches.meta"] = _write(folder / "batches.meta", {"label_names": NAMES, "num_vis": 3 * SIZE_PX**2})
    _accept(sums)


def accept_checksums(root: Path) -> None:
    """Make torchvision accept the files of CIFAR-10 below ``root`` as they are: copies through JPEG have other sums."""
    folder = root / CIFAR10.base_folder
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
    _accept({name: hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest() for name in names})


def _batch(name: str, pixels: Pixels, labels: Labels) -> dict[str, object]:
    rows = pixels.reshape(len(pixels), -1)
    files = [f"{name}_{i}.png" for i in range(len(rows))]
    return {"batch_label": name, "data": rows, "labels": labels.tolist(), "filenames": files}


def _write(path: Path, content: dict[str, object]) -> str:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _accept(sums: dict[str, str]) -> None:
    CIFAR10.train_list = [[name, sums[name]] for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [[name, sums[name]] for name, _ in CIFAR10.test_list]
    CIFAR10.meta = {**CIFAR10.meta, "md5": sums["batches.meta"]}
