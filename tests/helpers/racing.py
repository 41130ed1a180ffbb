"""A race of small networks, as tests type it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tlearn.commands.race import race as module
from tlearn.models.weights.safe_load import read_checkpoint

TINY = ("--model.backbone", "timm/test_efficientnet", "--model.weights", "null", "--model.image_size", "32")
RACE = Path("runs/pictures/race")


def record(folder: str = "runs/pictures/version_0") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(folder, "race.json").read_text(encoding="utf-8"))
    return content


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(path)["state_dict"]
    return state


def few_members(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(module, "tuned_of", lambda *_: names)
