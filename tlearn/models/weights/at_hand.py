"""Find networks whose weights are on this machine already: in the caches of torchvision and of the Hugging Face Hub."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torchvision.models import get_model_weights, list_models

from tlearn.models.backbones.backbone import TIMM
from tlearn.models.backbones.families import family_of

_REPOSITORY = "models--timm--"
_FILES = ("model.safetensors", "pytorch_model.bin")


def networks_at_hand() -> list[str]:
    """Return the names for ``model.backbone`` of all that ``model.weights DEFAULT`` loads without a download."""
    return [*_of_torchvision(), *_of_timm()]


def _of_torchvision() -> list[str]:
    kept = Path(torch.hub.get_dir(), "checkpoints")
    there = {path.name for path in kept.iterdir()} if kept.is_dir() else set[str]()
    names = [name for name in list_models() if family_of(name) is not None] if there else []
    return [name for name in names if Path(get_model_weights(name)["DEFAULT"].url).name in there]


def _of_timm() -> list[str]:
    if find_spec("timm") is None:
        return []
    from huggingface_hub import constants  # only timm brings it along

    hub = Path(constants.HF_HUB_CACHE)  # it knows HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME
    folders = sorted(hub.glob(f"{_REPOSITORY}*")) if hub.is_dir() else []
    kept = [path for path in folders if any(any(path.glob(f"snapshots/*/{name}")) for name in _FILES)]
    return [TIMM + path.name.removeprefix(_REPOSITORY) for path in kept]
