"""The runs that go into a soup: found, read, and refused where their weights cannot be averaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments
from tlearn.cli.resume import Checkpoint, open_checkpoint
from tlearn.cli.targets.settle import run_of
from tlearn.models.network import PARTS
from tlearn.models.options import NetworkOptions, options_from
from tlearn.models.weights.safe_load import read_checkpoint

_PIXELS = ("preprocess.mean", "preprocess.std")
_USE = f"{program()} soup RUN RUN ..."


@dataclass(frozen=True)
class Member:
    """A run that was named, or a checkpoint of one.

    Attributes:
        name: As tables show it: ``my_pictures/version_0``, or more of the path where that is not clear.
        checkpoint: Its checkpoint.
        content: All that the file holds.
    """

    name: str
    checkpoint: Checkpoint
    content: dict[str, Any]

    @cached_property
    def options(self) -> NetworkOptions:
        """Return what its network was built from."""
        return options_from(NetworkOptions, self.content["hyper_parameters"])

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """Return the weights of backbone and head, by name."""
        stored: dict[str, Tensor] = self.content["state_dict"]
        return {name: value for name, value in stored.items() if name.startswith(PARTS)}

    @property
    def started_from(self) -> str:
        """Say where the run's weights came from."""
        config = self.checkpoint.config
        weights = config.get("model", {}).get("weights")
        return f"random weights of seed {config.get('seed_everything')}" if weights is None else str(weights)


def members_of(words: Sequence[str]) -> list[Member]:
    """Open the runs that are named.

    Raises:
        TlearnError: Fewer than two, one that is not there, or one named twice.
    """
    if len(words) < 2:
        got = f"got {words[0]} alone" if words else "got none"
        raise TlearnError(f"a soup is made of two runs or more of the same network, {got}: {_USE}")
    opened = [_opened(word) for word in words]
    path, times = Counter(each.path for each in opened).most_common(1)[0]
    if times > 1:
        raise TlearnError(f"{path} is named twice; a run and itself make no soup: name each once")
    names = _names([each.path for each in opened])
    return [Member(name, each, _content(each)) for name, each in zip(names, opened, strict=True)]


def _opened(word: str) -> Checkpoint:
    found = open_checkpoint(Arguments("validate", options=[f"--ckpt_path={run_of('soup', word)}"]))
    assert found is not None  # only fit starts without one
    if not found.config:
        raise TlearnError(f"{found.path} was made from Python and does not say where its pictures are; fit it anew")
    return found


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    content = read_checkpoint(checkpoint.path)
    if not {"state_dict", "hyper_parameters"} <= content.keys():
        raise TlearnError(f"{checkpoint.path} does not hold what a checkpoint of tlearn holds: no weights or options")
    if content["hyper_parameters"].get("ensemble"):
        raise TlearnError(f"{checkpoint.path} is an ensemble, whose weights are of several networks; name its members")
    return content


def _names(paths: Sequence[Path]) -> list[str]:
    """Name each by the last parts of its path that tell it from all others; ``best.ckpt`` of a run folder by that."""
    parts = [_telling(path) for path in paths]
    count = 2
    while len({each[-count:] for each in parts}) < len(parts) and count < max(map(len, parts)):
        count += 1
    return ["/".join(each[-count:]) for each in parts]


def _telling(path: Path) -> tuple[str, ...]:
    is_usual = path.name == "best.ckpt" and path.parent.name == "checkpoints"
    return (path.parent.parent if is_usual else path).parts


def check_alike(members: Sequence[Member]) -> None:
    """Refuse runs whose weights have no mean that means anything.

    Raises:
        TlearnError: Another task, other classes, another architecture, tap, head or framing; both runs are named.
    """
    first = members[0]
    for other in members[1:]:
        both = f"{first.name} and {other.name}"
        for what, one, two in _facts(first, other):
            if one != two:
                raise TlearnError(f"{both} have different {what}, {_shown(one, two)}; a soup needs the same network")
        if fault := _other_shape(first.state, other.state):
            raise TlearnError(f"{both} have weights of different shapes, {fault}; a soup needs the same network")
        for name in _PIXELS:
            if not torch.equal(first.content["state_dict"][name], other.content["state_dict"][name]):
                raise TlearnError(f"{both} normalise pixels differently ({name}); a soup needs the same network")


def _facts(first: Member, other: Member) -> list[tuple[str, Any, Any]]:
    one, two, about = first.options, other.options, (first.checkpoint.about, other.checkpoint.about)
    of_options = {
        "architectures": "backbone",
        "arguments of the backbone": "backbone_args",
        "taps": "tap",
        "heads (head_hidden)": "head_hidden",
        "channels": "in_channels",
        "image sizes": "image_size",
    }
    return [
        ("tasks", one.task, two.task),
        ("classes", list(about[0]["class_names"]), list(about[1]["class_names"])),
        *((what, getattr(one, name) or None, getattr(two, name) or None) for what, name in of_options.items()),
        ("framing of pictures", about[0].get("pictures"), about[1].get("pictures")),
        ("units of their values", about[0].get("unit"), about[1].get("unit")),
    ]


def _other_shape(one: dict[str, Tensor], other: dict[str, Tensor]) -> str:
    """Say which tensor differs in its shape; empty where none does."""
    for name in [*one, *(name for name in other if name not in one)]:
        shapes = [tuple(state[name].shape) if name in state else "none" for state in (one, other)]
        if shapes[0] != shapes[1]:
            return f"{name}: {shapes[0]} and {shapes[1]}"
    return ""


def _shown(one: Any, two: Any) -> str:
    """Say both values; of two mappings only what differs."""
    if isinstance(one, dict) and isinstance(two, dict):
        names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
        one, two = ({name: each.get(name) for name in names} for each in (one, two))
    return " and ".join(", ".join(map(str, each)) if isinstance(each, list) else str(each) for each in (one, two))


def start_remark(members: Sequence[Member]) -> str:
    """Say that runs began from different weights, whose mean seldom works; empty where they did not."""
    starts = {each.started_from: each.name for each in members}
    if len(starts) < 2:
        return ""
    (one, first), (two, second) = list(starts.items())[:2]
    return (
        f"{first} and {second} began from different weights ({one} and {two}): the mean of networks that did not "
        "begin as one mostly fails; the ensemble does not mind"
    )
