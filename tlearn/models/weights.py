"""Where a network's first weights come from: torchvision, a file, or nowhere. Never silently from nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from tlearn.errors import TlearnError, unknown
from tlearn.models.backbone import TIMM, Backbone
from tlearn.models.checkpoint_file import read_checkpoint, state_dict_of
from tlearn.models.preprocess import Preprocess
from tlearn.models.timm_backbone import fetch_timm_weights
from tlearn.name_forms import same_names

_FILE_SUFFIXES = (".ckpt", ".pth", ".pt", ".safetensors")


class Loaded(NamedTuple):
    """What was loaded.

    Attributes:
        message: One line for the log: what came from where, and what starts new.
        native_size: Side in pixels that the weights were trained at, where that is known.
    """

    message: str
    native_size: int | None = None


def load_weights(
    weights: str,
    name: str,
    backbone: Backbone,
    head: nn.Module,
    preprocess: Preprocess,
    class_names: Sequence[str],
) -> Loaded:
    """Load ``weights`` into the parts of a network that starts anew.

    Args:
        weights: ``DEFAULT``, a torchvision weights name, or the path of a file: a checkpoint of ours, or a state dict
            in torchvision's names.
        name: The backbone's name, to find torchvision's weights.
        backbone: Gets every one of its tensors, or there is an error.
        head: Gets the file's head when it is ours and speaks of the same classes; else it starts new.
        preprocess: Gets the statistics that the weights were trained with.
        class_names: The classes of the data at hand.

    Raises:
        TlearnError: Unknown name, unreachable, damaged, or made for another network.
    """
    if Path(weights).suffix in _FILE_SUFFIXES:
        return _load_file(weights, backbone, head, preprocess, class_names)
    if name.startswith(TIMM):
        return _load_timm(weights, name, backbone)
    entry = _find_entry(weights, name)
    _fill(backbone, _fetch(entry), entry.url)
    preset = entry.transforms()
    preprocess.set_statistics(tuple(preset.mean), tuple(preset.std))
    message = f"weights {name} {entry.name}: {_count(backbone)} backbone tensors loaded, the head starts new"
    return Loaded(message, int(preset.crop_size[0]))


def _load_timm(weights: str, name: str, backbone: Backbone) -> Loaded:
    if weights != "DEFAULT":
        choices = ["DEFAULT", "null", f"a path ending in {', '.join(_FILE_SUFFIXES)}"]
        raise unknown(f"model.weights for {name}", weights, choices)
    _fill(backbone, fetch_timm_weights(name), name)
    message = f"weights {name}: {_count(backbone)} backbone tensors loaded, the head starts new"
    return Loaded(message, backbone.native_size)


def _find_entry(weights: str, name: str) -> WeightsEnum:
    entries = get_model_weights(name)
    wanted = weights.rsplit(".", 1)[-1]  # ResNet18_Weights.IMAGENET1K_V1 is fine too
    if wanted == "DEFAULT":
        return entries["DEFAULT"]
    if wanted not in entries.__members__:
        choices = [
            "DEFAULT",
            *(entry.name for entry in entries),
            "null",
            f"a path ending in {', '.join(_FILE_SUFFIXES)}",
        ]
        raise unknown(f"model.weights for {name}", weights, choices)
    return entries[wanted]


def _fetch(entry: WeightsEnum) -> dict[str, Tensor]:
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    try:
        state: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True)
    except URLError as error:
        raise TlearnError(
            f"cannot fetch {entry.url} ({error.reason}); put that file at {cached}, or give model.weights the path of "
            "a local file, or null to start from random weights"
        ) from error
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise TlearnError(f"cached weights {cached} are damaged; delete the file and run again") from error
    return state


def _load_file(
    path: str, backbone: Backbone, head: nn.Module, preprocess: Preprocess, class_names: Sequence[str]
) -> Loaded:
    content = read_checkpoint(path)
    state = state_dict_of(content, path)
    ours = _part(state, "backbone.")
    _fill(backbone, ours or state, path)
    for statistic, value in _part(state, "preprocess.").items():
        preprocess.get_buffer(statistic).copy_(value)
    head_line = _load_head(head, _part(state, "head."), content.get("tlearn", {}), class_names)
    return Loaded(f"weights {path}: {_count(backbone)} backbone tensors loaded, {head_line}", backbone.native_size)


def _load_head(head: nn.Module, state: dict[str, Tensor], about: dict[str, Any], class_names: Sequence[str]) -> str:
    wanted = head.state_dict()
    count = len(wanted)
    if not state:
        return f"the head starts new ({count} tensors)"
    theirs = list(about.get("class_names", []))
    if not same_names(theirs, class_names):
        return (
            f"the head starts new ({count} tensors): {len(theirs)} classes in the file, {len(class_names)} others here"
        )
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in wanted.items()}:
        return f"the head starts new ({count} tensors): the file's has another shape"
    head.load_state_dict(state)
    return f"head loaded too ({count} tensors, same classes)"


def _fill(backbone: Backbone, state: dict[str, Tensor], source: str | Path) -> None:
    target = backbone if any(key in state for key in backbone.state_dict()) else backbone.network
    wanted = target.state_dict()
    missing = [key for key in wanted if key not in state]
    other = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or other:
        problem = f"{len(missing)} missing" if missing else f"{len(other)} of another shape"
        raise TlearnError(
            f"weights {source} do not fit model.backbone: {problem} of {len(wanted)} tensors "
            f"(first: {(missing or other)[0]}); give the backbone they were made for"
        )
    target.load_state_dict({key: state[key] for key in wanted})


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _count(backbone: Backbone) -> int:
    return len(backbone.state_dict())
