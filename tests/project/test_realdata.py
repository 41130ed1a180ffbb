"""All of the real CIFAR-10 through the project's own loading code, and a network really pretrained on ImageNet."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG
from tlearn import TransferModule

UNPACK = Path(__file__).parents[3] / "shared" / "unpack.py"
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
    best = re.search(r"^accuracy +([\d.]+) %", out, re.M)
    assert best
    assert float(best[1]) > 35
    out = call("run", root, "--", "test", *words, "--ckpt_path", "best", cwd=tmp_path)
    tested = re.search(r"^accuracy +([\d.]+) %", out, re.M)
    assert tested
    assert abs(float(tested[1]) - float(best[1])) < 3
    assert len(list((tmp_path / "runs/from_scratch").iterdir())) == 1


def test_ants_and_bees_from_folder_to_predictions(tlearn: Tlearn, tmp_path: Path) -> None:
    """The README's two commands, with a network really pretrained on ImageNet; 94.8 % is known for its features."""
    pytest.importorskip("timm")
    call("hymenoptera", str(tmp_path / "data"), cwd=tmp_path)
    (root,) = [path.parent for path in (tmp_path / "data").rglob("train")]
    weights = UNPACK.parent / "weights/tf_efficientnet_lite0.in1k.safetensors"
    words = ["--config", "folder.yaml", "--data.init_args.root", str(root), "--trainer.accelerator", "cpu"]
    words += ["--model.backbone", "timm/tf_efficientnet_lite0", "--model.weights", str(weights)]
    answer = tlearn("doctor", *words)
    assert answer.code == 0, answer.err
    assert "train/ants/imageNotFound.gif" in "".join(answer.out.split())
    answer = tlearn("fit", *words)
    assert answer.code == 0, answer.err
    assert "train: 245 images of 2 classes (ants 124, bees 121)" in answer.err
    words = ["--ckpt_path", "runs/folder/version_0", "--data", str(root / "val"), "--out", "predictions.csv"]
    answer = tlearn("predict", *words)
    assert answer.code == 0, answer.err
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 153
    assert sum(row["class"] == Path(row["path"]).parent.name for row in rows) / len(rows) > 0.92


def generated(case: str, folder: Path) -> Path:
    generator = UNPACK.parent / "cases" / "gen_open.py"
    subprocess.run([sys.executable, str(generator), case, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("case", "place", "code", "expected"),
    [
        ("C17", "", 0, "train: 24 images of 3 classes (cat 8, dog 8, eel 8)"),
        ("C18", "", 0, "no validation images for: dog"),
        ("C19", "one", 2, "found 1 class (cat) in"),
        ("C19", "nested", 2, "did you mean"),
        ("C19", "nested/dataset/train", 2, "no folder train in"),
        ("C20", "", 0, "train: 27 images of 3 classes (cat 11, eel 8, hot dog 8)"),
        ("C21", "", 0, "train: 32 images of 3 classes (cat 16, dog 8, eel 8)"),
        ("C22", "", 2, "4 of 28 train pictures cannot be read"),
        ("C23", "", 0, "train: 60 images of 3 classes"),
    ],
)
def test_cases_as_generated(case: str, place: str, code: int, expected: str, tlearn: Tlearn, tmp_path: Path) -> None:
    root = generated(case, tmp_path / "case") / place
    (tmp_path / "folder.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "folder.yaml", "--data.init_args.root", str(root), "--trainer.max_epochs", "1")
    assert answer.code == code, answer.err
    assert expected in answer.err


@pytest.mark.parametrize("wrap", ["bare", "without counters", "in a trainer's checkpoint"])
def test_real_weights_in_any_wrapping(wrap: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("timm")
    given = load_file(UNPACK.parent / "weights/tf_efficientnet_lite0.in1k.safetensors")
    state: dict[str, Any] = dict(given)
    if wrap == "without counters":
        state = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    elif wrap != "bare":
        state = {"state_dict": {f"net.{name}": value for name, value in state.items()}, "args": Namespace(lr=0.1)}
    torch.save(state, tmp_path / "checkpoint.pth.tar")
    module = TransferModule(2, backbone="timm/tf_efficientnet_lite0", weights=str(tmp_path / "checkpoint.pth.tar"))
    kept = module.backbone.network.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in given.items() if name in kept and "num_b" not in name)
    assert "pixels normalised by mean 0.5 0.5 0.5 and std 0.5 0.5 0.5" in said.text
    assert "BatchNorms" not in said.text


@pytest.mark.parametrize(
    ("case", "options", "accuracy"),
    [
        ("dim_camera/raw", (), 1.0),
        ("dim_camera/raw", ("--data.init_args.intensity", "type"), 0.5),
        ("scans/signed", (), 1.0),
        ("stacks", ("--data.init_args.page", "middle"), 1.0),
    ],
)
def test_microscopes_and_scanners(
    case: str, options: tuple[str, ...], accuracy: float, tlearn: Tlearn, tmp_path: Path
) -> None:
    """N01, N03, N04: a network pretrained on photographs sees what few bits, numbers below 0 and a stack show."""
    pytest.importorskip("timm")
    name = case.partition("/")[0]
    generator = UNPACK.parent / "cases" / "gen_turn2.py"
    subprocess.run([sys.executable, str(generator), name, str(tmp_path / name)], check=True)
    weights = UNPACK.parent / "weights/tf_efficientnet_lite0.in1k.safetensors"
    words = ["--model.backbone", "timm/tf_efficientnet_lite0", "--model.weights", str(weights), *options]
    words += ["--model.image_size", "96", "--data.init_args.root", case, "--trainer.accelerator", "cpu"]
    answer = tlearn("fit", "--config", "folder.yaml", *words)
    assert answer.code == 0, answer.err
    card = json.loads(Path("runs/folder/version_0/card.json").read_text())
    assert round(card["best"]["metrics"]["val/acc"], 4) == accuracy
