"""All of the real CIFAR-10 through the project's own loading code, and a network really pretrained on ImageNet."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tests.conftest import Tlearn
from tlearn.data import ImageDataModule

UNPACK = Path(__file__).parent.parent.parent / "shared" / "unpack.py"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not UNPACK.is_file(), reason="the real data lie in ../shared, which only developers have"),
]


def call(*words: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, str(UNPACK), *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cifar10_from_scratch(tmp_path: Path) -> None:
    """Two stages of ResNet18 and 500 labels a class for three epochs: far above chance, and best is what was tested."""
    root = str(tmp_path / "data")
    call("cifar10", root, cwd=tmp_path)
    words = ["--config", "from_scratch.yaml", "--data.root", root, "--trainer.accelerator", "cpu"]
    small = ["--model.tap", "layer1", "--data.train_per_class", "500", "--trainer.max_epochs", "3"]
    out = call("run", root, "--", "fit", *words, *small, "--model.optimizer.lr", "0.01", cwd=tmp_path)
    best = re.search(r"best val/acc ([\d.]+)", out)
    assert best
    assert float(best[1]) > 0.35
    out = call("run", root, "--", "test", *words, "--ckpt_path", "best", cwd=tmp_path)
    tested = re.search(r"test/acc\s+│\s+([\d.]+)", out)
    assert tested
    assert abs(float(tested[1]) - float(best[1])) < 0.03
    assert len(list((tmp_path / "runs/from_scratch").iterdir())) == 1


class AntsAndBeesDataModule(ImageDataModule):
    """397 photographs, the whole of them in memory: short side 256 px, of that the centre, 224 px."""

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(class_names=["ants", "bees"], **options)
        self.root = Path(root)

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        for label, name in enumerate(self.class_names):
            for path in sorted((self.root / {"train": "train", "test": "val"}[split] / name).iterdir()):
                try:
                    with path.open("rb") as file:
                        photograph = F.pil_to_tensor(Image.open(file).convert("RGB"))
                except UnidentifiedImageError:
                    continue
                smaller = F.resize(photograph, [256], interpolation=F.InterpolationMode.BICUBIC, antialias=True)
                images.append(F.center_crop(smaller, [224]))
                labels.append(label)
        return torch.stack(images), torch.tensor(labels)


def test_imagenet_features_tell_ants_from_bees(tlearn: Tlearn, tmp_path: Path) -> None:
    """A logistic regression on this network's frozen features is right for 94.8 %; `fit` starts from it."""
    pytest.importorskip("timm")
    call("hymenoptera", str(tmp_path / "data"), cwd=tmp_path)
    (root,) = [path.parent for path in (tmp_path / "data").rglob("train")]
    words = ["--data", "tests.test_realdata.AntsAndBeesDataModule", "--data.root", str(root)]
    words += ["--data.dict_kwargs.val_fraction", "0.05", "--model.backbone", "timm/tf_efficientnet_lite0"]
    words += ["--model.weights", str(UNPACK.parent / "weights/tf_efficientnet_lite0.in1k.safetensors")]
    words += ["--model.freeze_backbone", "true", "--model.head_init", "probe", "--trainer.max_epochs", "1"]
    answer = tlearn("fit", *words, "--model.optimizer.lr", "1e-5", "--trainer.accelerator", "cpu")
    assert answer.code == 0, answer.err
    answer = tlearn("test", "--ckpt_path", "runs/default/version_0")
    assert answer.code == 0, answer.err
    tested = re.search(r"test/acc\s+│\s+([\d.]+)", answer.out)
    assert tested
    assert float(tested[1]) > 0.93
