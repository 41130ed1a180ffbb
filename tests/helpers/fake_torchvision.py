"""Some of torchvision's datasets, tiny, in the files they come in; each class is one shade of grey."""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

STEP = 20  # levels from one class to the next


def write_picture(path: Path, label: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 20), (STEP * label,) * 3).save(path)


def write_idx(path: Path, values: np.ndarray[Any, Any], kind: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">I{values.ndim}I", 256 * kind + values.ndim, *values.shape) + values.tobytes())


def write_mnist(root: Path, name: str = "FashionMNIST", per_class: int = 4, first: int = 0, prefix: str = "") -> None:
    parts = (f"{prefix}-train", f"{prefix}-test") if prefix else ("train", "t10k")
    for part, count in zip(parts, (per_class, per_class // 2), strict=True):
        labels = np.repeat(np.arange(first, 10, dtype=np.uint8), count)
        pixels = np.tile((STEP * labels)[:, None, None], (1, 28, 28))
        write_idx(root / name / "raw" / f"{part}-images-idx3-ubyte", pixels, 8)
        write_idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", labels, 8)


def write_qmnist(root: Path) -> None:
    labels = np.repeat(np.arange(10), 3)
    for part in ("train", "test"):
        pixels = np.tile((STEP * labels)[:, None, None].astype(np.uint8), (1, 28, 28))
        write_idx(root / "QMNIST/raw" / f"qmnist-{part}-images-idx3-ubyte", pixels, 8)
        table = np.zeros((len(labels), 8), dtype=">i4")
        table[:, 0] = labels
        write_idx(root / "QMNIST/raw" / f"qmnist-{part}-labels-idx2-int", table, 12)


def write_pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for part, numbers in (("trainval", range(6)), ("test", range(6, 9))):
        lines = [f"{name}_{n} {k + 1} 1 1" for k, name in enumerate(("Abyssinian", "great_pug")) for n in numbers]
        for line in lines:
            write_picture(folder / f"images/{line.split()[0]}.jpg", int(line.split()[1]) - 1)
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/{part}.txt").write_text("\n".join(lines))


def write_dtd(root: Path) -> None:
    names = {part: [f"{c}/{c}_{part}{n}.jpg" for c in ("banded", "dotted") for n in range(3)] for part in "abc"}
    for name in chain.from_iterable(names.values()):
        write_picture(root / "dtd/dtd/images" / name, int(name.startswith("dotted")))
    (root / "dtd/dtd/labels").mkdir()
    for partition, order in ((1, "abc"), (2, "bca")):
        for split, part in zip(("train", "val", "test"), order, strict=True):
            (root / f"dtd/dtd/labels/{split}{partition}.txt").write_text("\n".join(names[part]))


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat(np.arange(10), 3)
    for split in ("train", "test"):
        path = root / f"{split}_32x32.mat"
        pixels = np.tile((STEP * labels).astype(np.uint8), (32, 32, 3, 1))
        savemat(path, {"X": pixels, "y": np.where(labels, labels, 10)[:, None].astype(np.uint8)})
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(datasets.SVHN.split_list, split, ["", path.name, md5])


def write_eurosat(root: Path) -> None:
    for label, name in enumerate(("Forest", "River")):
        for number in range(6):
            write_picture(root / f"eurosat/2750/{name}/{name}_{number}.jpg", label)


def write_clevr(root: Path) -> None:
    for split in ("train", "val", "test"):
        names = [f"CLEVR_{split}_{number:06d}.png" for number in range(6)]
        for number, name in enumerate(names):
            write_picture(root / f"clevr/CLEVR_v1.0/images/{split}/{name}", number % 2)
        scenes = [{"image_filename": name, "objects": [0] * (3 + 7 * (n % 2))} for n, name in enumerate(names)]
        (root / "clevr/CLEVR_v1.0/scenes").mkdir(exist_ok=True)
        (root / f"clevr/CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json").write_text(json.dumps({"scenes": scenes}))


def write_imagenet(root: Path) -> None:
    names = {"n01": ("crane", "bird"), "n02": ("crane",), "n03": ("crane",)}
    torch.save((names, []), root / "meta.bin")
    for label, folder in enumerate(names):
        for number in range(3):
            write_picture(root / f"train/{folder}/{number}.JPEG", label)
            write_picture(root / f"val/{folder}/{number}.JPEG", label)


def write_inaturalist(root: Path) -> None:
    for label, kind in enumerate(("terrestris", "rubellus")):
        folder = f"{label:05d}_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_{kind}"
        for number in range(3):
            write_picture(root / "2021_train" / folder / f"{number}.jpg", label)
