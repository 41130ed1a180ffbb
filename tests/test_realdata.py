"""All of the real CIFAR-10, through the project's own loading code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

UNPACK = Path(__file__).parent.parent.parent / "shared" / "unpack.py"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not UNPACK.is_file(), reason="the real CIFAR-10 lies in ../shared, which only developers have"),
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
