"""Where a network's first weights come from: torchvision, a file, or nowhere. Never silently from nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.name_forms import same_names
from tlearn.base.progress import Progress
from tlearn.models.backbones.backbone import TIMM, Backbone
from tlearn.models.backbones.input_channels import RGB, adapted_words
from tlearn.models.backbones.timm_networks import fetch_network
from tlearn.models.preprocess import Preprocess
from tlearn.models.target_unit import AS_IT_IS, change_unit, unit_in
from tlearn.models.weight_search import behind
from tlearn.models.weights.foreign import KEY, Taken, split_key, take
from tlearn.models.weights.safe_load import read_foreign
from tlearn.models.weights.statistics import Statistics, padding_doubt, statistics_of_file, statistics_of_timm

_FILE_SUFFIXES = (".ckpt", ".pth", ".pt", ".safetensors", ".bin", ".tar", ".pkl", ".onnx", ".h5")


class Loaded(NamedTuple):
    """What was loaded.

    Attributes:
        message: One line for the log: what came from where, and what starts new.
        native_size: Side in pixels that the weights were trained at, where that is known.
        doubts: Lines to warn of.
    """

    message: str
    native_size: int | None = None
    doubts: tuple[str, ...] = ()


def load_weights(
    weights: str,
    name: str,
    backbone: Backbone,
    head: nn.Module,
    preprocess: Preprocess,
    class_names: Sequence[str],
    given: Statistics | None = None,
) -> Loaded:
    """Load ``weights`` into the parts of a network that starts anew.

    Args:
        weights: ``DEFAULT``, a torchvision weights name, or the path of a file: a checkpoint of ours, or of anyone who
            kept the names of torchvision or timm, behind whatever prefix. ``FILE::KEY`` takes them from one part of it.
        name: The backbone's name, to find torchvision's weights.
        backbone: Gets every one of its tensors but counters, or there is an error.
        head: Gets the file's head when it is ours and speaks of the same classes; else it starts new.
        preprocess: Gets the statistics that the weights were trained with.
        class_names: The classes of the data at hand.
        given: Statistics of the user's own, in place of those.

    Raises:
        TlearnError: Unknown name, unreachable, damaged, or made for another network.
    """
    if not backbone.is_plain and weights == "DEFAULT":
        said = _normalise(preprocess, given or statistics_of_file("", name, backbone))
        return Loaded(f"{name} begins with its own weights; {said}")
    has_names = backbone.is_plain and not name.startswith(TIMM)
    names = ["DEFAULT", *get_model_weights(name).__members__] if has_names else ["DEFAULT"]
    names = list(dict.fromkeys(names))
    wanted = weights if name.startswith(TIMM) else weights.rsplit(".", 1)[-1]  # ResNet18_Weights.IMAGENET1K_V1 is fine
    if wanted not in names or Path(weights).suffix in _FILE_SUFFIXES or "/" in weights:
        return _load_file(_path_of(weights, name, names), backbone, head, preprocess, class_names, name, given)
    if name.startswith(TIMM):
        return _load_timm(name, backbone, preprocess, given)
    entry = get_model_weights(name)[wanted]
    notes = _fill(backbone, _fetch(entry))
    preset = entry.transforms()
    said = _normalise(preprocess, given or Statistics(tuple(preset.mean), tuple(preset.std), entry.name))
    message = f"weights {name} {entry.name}: {_count(backbone)} backbone tensors loaded, the head starts new"
    return Loaded("; ".join([message, *notes, said]), int(preset.crop_size[0]))


def _load_timm(name: str, backbone: Backbone, preprocess: Preprocess, given: Statistics | None) -> Loaded:
    size_px, channels = backbone.fixed_size_px if backbone.built_for else None, backbone.in_channels
    _check_timm_adapts(name, backbone)
    state = fetch_network(name.removeprefix(TIMM), size_px, getattr(backbone, "arguments", {}), channels)
    notes = _fill(backbone, state)
    if channels != RGB:
        notes.append(adapted_words(channels))
    said = _normalise(preprocess, given or statistics_of_timm(name, backbone))
    message = f"weights {name}: {_count(backbone)} backbone tensors loaded, the head starts new"
    return Loaded("; ".join([message, *notes, said]), backbone.native_size)


def _check_timm_adapts(name: str, backbone: Backbone) -> None:
    """Refuse a network whose first layer timm would fill with random numbers, and only log it."""
    channels = backbone.in_channels
    for each in backbone.input_convolutions() if channels != RGB else ():
        first = backbone.network.get_submodule(each)
        if not isinstance(first, nn.Conv2d) or (first.in_channels != channels and channels != 1):
            raise TlearnError(
                f"timm cannot adapt the first layer of {name} ({each}) to {channels} channels; take another network, "
                "or model.weights null"
            )


def _normalise(preprocess: Preprocess, statistics: Statistics) -> str:
    """Take over statistics, unless they are of another number of channels; return in words what holds."""
    channels = len(preprocess.mean)
    if len(statistics.mean) != channels:
        return f"mean and std of {channels} channel{'s' * (channels > 1)} are measured in the training images"
    preprocess.set_statistics(statistics.mean, statistics.std)
    return str(statistics)


def _fetch(entry: WeightsEnum) -> dict[str, Tensor]:
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    try:
        with Progress(f"fetching {entry.url}"):
            state: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True)
    except URLError as error:
        raise TlearnError(
            f"cannot fetch {entry.url} ({error.reason}): {_why(error)}; put that file at {cached}, or type "
            "--model.weights FILE for weights of your own (null: random, no transfer)"
        ) from error
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise TlearnError(f"cached weights {cached} are damaged; delete the file and run again") from error
    return state


def _why(error: URLError) -> str:
    return "its server refuses" if isinstance(error, HTTPError) else "there seems to be no network"


def _fill(backbone: Backbone, state: dict[str, Tensor]) -> list[str]:
    """Load what a library gives for the network, at the size of its positions; return what else is to be said."""
    taken = take(state, "of the library", None, backbone)
    _put(backbone, taken)
    return taken.about


def _path_of(weights: str, name: str, names: list[str]) -> str:
    """Check that there is such a file.

    Raises:
        TlearnError: There is not; it may be a path or a name that was mistyped.
    """
    path = Path(split_key(weights)[0]).expanduser()
    if path.is_file():
        return weights
    if "://" in weights:
        raise TlearnError(f"model.weights {weights} is an address; download the file, and give its path")
    if path.is_dir():
        inside = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.suffix in _FILE_SUFFIXES)[:5]
        raise TlearnError(
            f"model.weights {weights} is a folder; name a file in it ({', '.join(inside) or 'it has none'})"
        )
    if path.suffix in _FILE_SUFFIXES or len(path.parts) > 1 or KEY in weights:
        near = get_close_matches(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else []
        hint = f", did you mean {path.parent / near[0]}?" if near else ""
        raise TlearnError(f"no checkpoint at {path.absolute()}{hint}; check the path")
    choices = [*names, "null", "a path of a file (none is at this one)"]
    raise unknown(f"model.weights for {name}", weights, choices)


def _load_file(
    weights: str,
    backbone: Backbone,
    head: nn.Module,
    preprocess: Preprocess,
    class_names: Sequence[str],
    name: str,
    given: Statistics | None,
) -> Loaded:
    path, key = split_key(weights)
    content = read_foreign(Path(path).expanduser())
    taken = take(content, path, key, backbone)
    _put(backbone, taken)
    statistics = given or _statistics(taken, path, name, backbone)
    said = _normalise(preprocess, statistics)
    theirs = behind(taken.sections, "head.") if "tlearn" in content else {}
    head_line = _load_head(head, theirs, content.get("tlearn", {}), class_names)
    message = f"weights {path}: {len(taken.state)} backbone tensors loaded, {head_line}"
    doubts = (statistics.doubt if len(statistics.mean) == backbone.in_channels else "", padding_doubt(path, backbone))
    about = [] if "tlearn" in content else [*taken.where, *taken.left]
    line = "; ".join([message, *taken.about, *about, said])
    return Loaded(line, backbone.native_size, tuple(filter(None, doubts)))


def _statistics(taken: Taken, path: str, name: str, backbone: Backbone) -> Statistics:
    ours = behind(taken.sections, "preprocess.")
    if {"mean", "std"} <= ours.keys():
        return Statistics(tuple(ours["mean"].tolist()), tuple(ours["std"].tolist()), "the file's own")
    return statistics_of_file(path, name, backbone)


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
    change_unit(head, unit_in(about), AS_IT_IS)  # values as the user writes them; of classes there is no unit
    return f"head loaded too ({count} tensors, same classes)"


def _put(backbone: Backbone, taken: Taken) -> None:
    backbone.network.load_state_dict({**backbone.network.state_dict(), **taken.state})


def _count(backbone: Backbone) -> int:
    return len(backbone.state_dict())
