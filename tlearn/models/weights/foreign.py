"""Take a backbone's tensors out of a checkpoint of any framework, and say what was taken and what was left."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from tlearn.base.errors import TlearnError, unknown
from tlearn.models.backbones.backbone import Backbone
from tlearn.models.backbones.input_channels import adapted_tensors, adapted_words
from tlearn.models.weight_search import (
    State,
    alike,
    behind,
    by_number,
    choose,
    fitted,
    fitting,
    groups,
    large_parts,
    misfits,
    needed_names,
    prefixes_of,
    tensors_in,
)
from tlearn.models.weights.file_kinds import piece_of
from tlearn.models.weights.safe_load import Replaced

KEY = "::"
TOP = "."
_TRANSFORMERS = re.compile(r"(^|\.)(embeddings\.(cls_token|patch_embeddings)|embedder\.embedder|encoder\.layer\.0)\.")


@dataclass(frozen=True)
class Taken:
    """A backbone's tensors, and where in the file they stood.

    Attributes:
        state: In the names of the backbone's network.
        where: The place in the file, as a part of a line; none for its top level.
        about: What else is to be said of them, each a part of a line.
        left: What the file holds beside them, each a part of a line.
        sections: Preprocessing and head, where tlearn wrote the file: ``preprocess.mean``, ``head.weight``, ...
    """

    state: State
    where: list[str]
    about: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    sections: State = field(default_factory=dict)


def split_key(weights: str) -> tuple[str, str | None]:
    """Split ``FILE::KEY`` into the file and the part of it to take; a file whose own name holds ``::`` is a file."""
    path, mark, key = weights.rpartition(KEY)
    if not mark or Path(weights).expanduser().is_file():
        return weights, None
    return path, key


def take(content: dict[str, Any], path: str, key: str | None, backbone: Backbone) -> Taken:
    """Find the tensors of a backbone in what a file held.

    Args:
        content: Dictionaries of dictionaries and tensors.
        path: Of the file, for messages.
        key: The part of the file to look in, as in ``FILE::KEY``; ``.`` is its top level alone. ``None`` is all of it.
        backbone: Left as it is.

    Raises:
        TlearnError: There are no tensors, none that fit, or several that fit alike.
    """
    tensors = tensors_in(content)
    if not tensors:
        raise _nothing(content, path)
    if "tlearn" in content and key is None:
        key = "state_dict"  # not the starting weights that lie beside it
    theirs = tensors
    tensors = adapted_tensors(theirs, backbone.network, backbone.input_convolutions(), backbone.in_channels)
    is_adapted = {id(value) for name, value in tensors.items() if value is not theirs[name]}
    inside = _inside(tensors, path, key)
    found = fitting(inside, backbone.network)
    notes: dict[str, list[str]] = {}
    if not found and (numbered := _numbered(inside, backbone)):
        found, tensors, inside = fitting(numbered, backbone.network), numbered, numbered
        notes = {prefix: ["its parts by their numbers in an nn.Sequential"] for prefix in found}
    if not found:
        found, notes = _adapted(inside, backbone)
    if not found:
        raise _misfit(inside, path, backbone)
    prefix = _chosen(found, path, key)
    state = found[prefix]
    about = [*notes.get(prefix, []), *_absent(backbone, state)]
    if any(id(value) in is_adapted for value in state.values()):
        about.append(adapted_words(backbone.in_channels))
    outer = re.sub(r"backbone\.(network_\.)?$", "", prefix)
    sections = behind(tensors, outer) if outer != prefix else {}
    others = [_name(other) for other in found if other != prefix]
    where = [f"taken from {_name(prefix) if prefix else 'its top level'}"] if prefix or key else []
    return Taken(state, where, about, _left(tensors, prefix, state, others, path), sections)


def _inside(tensors: State, path: str, key: str | None) -> State:
    if key is None or key == TOP:
        return tensors
    inside = {name: value for name, value in tensors.items() if name.startswith(f"{key}.")}
    if not inside:
        choices = list(dict.fromkeys(name.partition(".")[0] if "." in name else TOP for name in tensors))
        raise unknown(f"part of weights {path}", key, choices)
    return inside


def _numbered(tensors: State, backbone: Backbone) -> State:
    """Return the tensors with names in place of numbers, or nothing where the network does not fit so either."""
    names = by_number(backbone.network, tensors)
    renamed = {names.get(name, name): value for name, value in tensors.items()}
    return renamed if names and fitting(renamed, backbone.network) else {}


def _adapted(tensors: State, backbone: Backbone) -> tuple[dict[str, State], dict[str, list[str]]]:
    """Try other names of the same network, and other sizes of its position embeddings."""
    found: dict[str, State] = {}
    notes: dict[str, list[str]] = {}
    for prefix in large_parts(tensors, len(needed_names(backbone.network))):
        theirs = behind(tensors, prefix)
        state = fitted(backbone.network, backbone.adapted(theirs))
        if state:
            found[prefix], notes[prefix] = state, _changes(theirs, state)
    return found, notes


def _changes(theirs: State, state: State) -> list[str]:
    as_they_were = {id(value) for value in theirs.values()}
    resampled = [
        f"{name} of {theirs[name].shape[-2]} to {value.shape[-2]}"
        for name, value in state.items()
        if name in theirs and theirs[name].numel() != value.numel() and id(value) not in as_they_were
    ]
    notes = []
    if resampled:
        more = f" and {len(resampled) - 1} more" if len(resampled) > 1 else ""
        notes.append(f"position embeddings resampled ({resampled[0]}{more})")
    renamed = sum(value is not theirs.get(name) and id(value) in as_they_were for name, value in state.items())
    return [*notes, f"{renamed} converted from other names by timm"] if renamed else notes


def _chosen(found: dict[str, State], path: str, key: str | None) -> str:
    exact = "" if key == TOP else f"{key}."
    if key is not None and exact in found:
        return exact
    chosen = choose(list(found), lambda one, other: alike(found[one], found[other]))
    if len(chosen) == 1:
        return chosen[0]
    names = [_name(prefix) for prefix in chosen]
    raise TlearnError(
        f"weights {path} fit model.backbone in {len(names)} places alike: {', '.join(names)}; say which: "
        f"--model.weights {path}{KEY}{names[0]}"
    )


def _absent(backbone: Backbone, state: State) -> list[str]:
    absent = [name.rpartition(".")[2] for name in backbone.network.state_dict() if name not in state]
    names = ", ".join(dict.fromkeys(absent))
    return [f"{len(absent)} counters or indices not in the file, and not needed ({names})"] if absent else []


def _left(tensors: State, prefix: str, state: State, others: list[str], path: str) -> list[str]:
    used = {prefix + name for name in state}
    rest = [name for name in tensors if name not in used]
    left = [f"not used: {groups(rest)}"] if rest else []
    return [*left, f"{', '.join(others)} would fit too (--model.weights {path}{KEY}{others[0]})"] if others else left


def _nothing(content: dict[str, Any], path: str) -> TlearnError:
    kinds = sorted({value.replaces for value in content.values() if isinstance(value, Replaced)})
    held = f" but objects of type {', '.join(kinds[:3])}" if kinds else ""
    if any(kind.startswith("numpy.") for kind in kinds):
        held = " but NumPy arrays, which are to be made tensors first"
    return TlearnError(
        f"{path} holds no tensors{held}; expected a state dict or a checkpoint: torch.save(model.state_dict(), FILE)"
    )


def _misfit(tensors: State, path: str, backbone: Backbone) -> TlearnError:
    wanted = backbone.network.state_dict()
    prefix = max(counts, key=lambda each: counts[each]) if (counts := prefixes_of(tensors, wanted)) else ""
    state = behind(tensors, prefix)
    missing = [name for name in wanted if name not in state]
    if all(name in state for name in needed_names(backbone.network)):
        wrong = misfits(wanted, state)
        _check_channels(backbone, wanted, state, wrong, path)
        problem, first, why = f"{len(wrong)} of another shape", wrong[0], _difference(state[wrong[0]], wanted[wrong[0]])
    else:
        problem, first, why = f"{len(missing)} missing", missing[0], _reason(tensors, path)
    where = f" at its best place {_name(prefix)}" if prefix else ""
    return TlearnError(
        f"weights {path} do not fit model.backbone{where}: {problem} of {len(wanted)} tensors (first: {first}); "
        f"{why}give the backbone they were made for"
    )


def _check_channels(backbone: Backbone, wanted: State, state: State, wrong: list[str], path: str) -> None:
    """Say of weights that differ in their first convolution's channels alone what to set."""
    first = [f"{name}.weight" for name in backbone.input_convolutions()]
    if set(wrong) <= set(first) and all(_but_channels(state[name]) == _but_channels(wanted[name]) for name in wrong):
        channels = state[wrong[0]].shape[1]
        raise TlearnError(
            f"weights {path} see {channels} channel{'s' * (channels > 1)}, model.in_channels is "
            f"{backbone.in_channels}; set it to {channels}, or give weights for red, green and blue"
        )


def _but_channels(kernel: Tensor) -> list[int]:
    return [side for place, side in enumerate(kernel.shape) if place != 1]


def _difference(theirs: Tensor, ours: Tensor) -> str:
    if theirs.shape == ours.shape:
        return (
            f"it is of {str(theirs.dtype).removeprefix('torch.')} there, a quantised network's: give the float one, or "
        )
    one, other = ("x".join(map(str, value.shape)) or "a scalar" for value in (theirs, ours))
    return f"it is {one} there and {other} here; "


def _reason(tensors: State, path: str) -> str:
    if piece := piece_of(path):
        return f"{piece}, or "
    if any(_TRANSFORMERS.search(name) for name in tensors):
        return "its names are those of Hugging Face's transformers, take timm's file of the same network, or "
    return ""


def _name(prefix: str) -> str:
    return prefix.removesuffix(".") or TOP
