"""Weights that are no numbers."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from tests.helpers.runs import last
from tlearn import TransferModule


def spoil(module: TransferModule) -> None:
    for name, parameter in module.head.named_parameters():
        if name.endswith("bias"):
            parameter.data.fill_(math.nan)


def spoilt(root: Path) -> Path:
    """Write a copy of best.ckpt whose answers are no numbers."""
    content = last(root, name="best")
    for name, value in content["state_dict"].items():
        if name.startswith("head.") and name.endswith("bias"):
            value.fill_(math.nan)
    torch.save(content, root / "spoilt.ckpt")
    return root / "spoilt.ckpt"
