"""The command line in processes of its own, two for one run, and a configuration that two can train."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp")

# 39 images in batches of 8: the last, of 7, is 4 and 3. Stages open later, and BatchNorm's statistics do not depend on
# which images are together.
CONFIG = """
seed_everything: 3
trainer: {max_epochs: 3, accelerator: cpu, precision: 32-true, log_every_n_steps: 1}
model:
  weights: null
  tap: layer1
  batch_norm: fixed
  unfreeze: {layer1: 1, stem: 2}
  label_smoothing: 0.1
  class_weights: [1, 2, 3]
  optimizer: {class_path: SGD, init_args: {lr: 0.05, momentum: 0.9}}
data:
  class_path: DigitsDataModule
  init_args:
    {classes: [0, 1, 2], train_per_class: 13, val_fraction: 0.05, batch_size: 8, size_px: 16, augment: {flip: true}}
"""


def started(*words: str, **environment: str) -> subprocess.Popen[str]:
    """`tlearn ...` in a process of its own, in this folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"} | environment
    command = [sys.executable, "-m", *(words if words[0] == "torch.distributed.run" else ("tlearn", *words))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def done(*words: str) -> tuple[str, str]:
    """Run it to a good end."""
    running = started(*words)
    try:
        out, err = running.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        running.kill()  # else it keeps its port, and what it waits for
        raise
    assert running.returncode == 0, out + err
    return out, err


def weights(run: str) -> dict[str, Tensor]:
    content: dict[str, Any] = torch.load(Path("runs", run, "version_0/checkpoints/last.ckpt"), weights_only=True)
    return dict(content["state_dict"])


def assert_same_weights(run: str, other: str) -> None:
    ours, theirs = weights(run), weights(other)
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-5)
