"""Read the members of an ensemble from their checkpoints, and check that they can answer together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical, same_names
from tlearn.base.places import as_told, find_named
from tlearn.base.plain_values import leaves_of, plain
from tlearn.models.about import KEY, About
from tlearn.models.ensembles.averaging_head import AveragingHead
from tlearn.models.ensembles.backbone import EnsembleBackbone
from tlearn.models.ensembles.build import Member, ensemble_name, members_in
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions, options_from
from tlearn.models.target_unit import change_unit
from tlearn.models.weight_search import behind
from tlearn.models.weights.safe_load import read_checkpoint

MOST = 8  # each is one more pass; the gain of the fifth is hardly seen (Lakshminarayanan et al., 2017, figure 2)
_SHARED = ("backbone", "tap", "backbone_args", "image_size", "in_channels")  # makes two backbones the same


class _Read(NamedTuple):
    """A member's checkpoint.

    Attributes:
        path: Where it lies.
        about: What it says of its network.
        options: What its network was built from.
        state: Of preprocessing, backbone and head.
    """

    path: Path
    about: About
    options: NetworkOptions
    state: dict[str, Tensor]


class Ensemble(NamedTuple):
    """Members that agree.

    Attributes:
        members: In the order in which they were named.
        read: Their checkpoints; empty where the members were described alone, as a checkpoint of the ensemble does,
            which brings the weights itself.
    """

    members: list[Member]
    read: list[_Read]

    def options(self) -> dict[str, Any]:
        """Return the options of the network that follow from the members."""
        first = self.members[0]
        return {
            "backbone": ensemble_name(self.members),
            "weights": None,
            "image_size": first.image_size,
            "in_channels": first.in_channels,
            "ensemble": [asdict(each) for each in self.members],
        }

    def check_for(self, task: str, class_names: Sequence[str] | None, num_classes: int) -> None:
        """Refuse members that answer something else than the data ask.

        Raises:
            TlearnError: They do; the first member is named.
        """
        for path, about, *_ in self.read[:1]:
            if about.task != task:
                raise TlearnError(f"model.ensemble: {path} is for {about.task}, the data are for {task}")
            names = about.class_names if class_names is None and len(about.class_names) == num_classes else class_names
            if not same_names(about.class_names, names or []):
                raise TlearnError(
                    f"model.ensemble: {path} knows {_list(about.class_names)}, the data have {_list(names or [])}; "
                    "give it the data that it learned from"
                )

    def fill(self, network: Network) -> None:
        """Put the members' weights into the network that `options` builds; values get the first member's unit."""
        if not self.read:
            return
        backbone, head, about = network.backbone, network.head, self.read[0].about
        assert isinstance(backbone, EnsembleBackbone)
        assert isinstance(head, AveragingHead)
        network.preprocess.load_state_dict(behind(self.read[0].state, "preprocess."))
        for member, read, own in zip(self.members, self.read, head.heads, strict=True):
            backbone.each[member.network].load_state_dict(behind(read.state, "backbone."))
            own.load_state_dict(behind(read.state, "head."))
            if about.task == "regression":
                change_unit(own, read.about.unit, about.unit)
        network.answer_in(about.unit)
        network.pictures, network.class_names = about.pictures, list(about.class_names)
        network.starts_at_random = False


def find_members(named: Sequence[Any]) -> list[Path]:
    """Return the checkpoint of each member: of a run folder, of the newest run of a name, also under ``runs/``.

    Raises:
        TlearnError: There is none, one comes twice, or there are too many.
    """
    texts = [each for each in named if isinstance(each, (str, Path)) and str(each)]
    if not named or len(texts) != len(named):
        wanted = "expected a list of runs or checkpoints, such as [runs/a, runs/b]"
        raise TlearnError(f"model.ensemble: {wanted}, got {list(named)}")
    if len(named) > MOST:
        raise TlearnError(f"model.ensemble names {len(named)} members, at most {MOST}: each takes one more pass")
    paths = [find_named("model.ensemble", each) for each in texts]
    for number, path in enumerate(paths):
        if (before := paths.index(path)) < number:
            raise TlearnError(f"model.ensemble: {named[before]} and {named[number]} are the same, {path}; drop one")
    return paths


def open_ensemble(named: Sequence[Any]) -> Ensemble:
    """Read members, or take descriptions of them.

    Args:
        named: Places of runs or checkpoints, or what `Ensemble.options` gives of them.

    Raises:
        TlearnError: One cannot be read, or two of them differ in what must be the same; both are named.
    """
    if named and all(isinstance(each, Mapping) for each in named):
        return Ensemble(members_in(named), [])
    read = [_read(path) for path in find_members(named)]
    for each in read[1:]:
        _check_agree(read[0], each)
    numbers = list(_numbered(read))
    members = [
        Member(
            run=as_told(each.path),
            network=number,
            backbone=each.options.backbone,
            image_size=each.options.image_size,
            in_channels=each.options.in_channels,
            tap=each.options.tap,
            backbone_args=each.options.backbone_args,
            head_hidden=each.options.head_hidden,
            head_dropout=each.options.head_dropout,
        )
        for each, number in zip(read, numbers, strict=True)
    ]
    return Ensemble(members, read)


def _read(path: Path) -> _Read:
    content = read_checkpoint(path)
    if KEY not in content or "hyper_parameters" not in content:
        raise TlearnError(f"model.ensemble: {path} is no checkpoint of tlearn; train one with fit")
    options = options_from(NetworkOptions, content["hyper_parameters"])
    state, inside = content["state_dict"], members_in(options.ensemble or [])
    if len(inside) > 1:
        runs = ", ".join(each.run for each in inside)
        raise TlearnError(f"model.ensemble: {path} is an ensemble itself; name its members: {runs}")
    if inside:  # the average of one network is that network
        own = {name: getattr(inside[0], name) for name in (*_SHARED, "head_hidden", "head_dropout")}
        options = replace(options, ensemble=None, **own)
        state = {name.replace(".networks.0.", ".", 1).replace(".heads.0.", ".", 1): x for name, x in state.items()}
    return _Read(path, About.in_checkpoint(content), options, state)


def _check_agree(one: _Read, other: _Read) -> None:
    for what, value, differing in _compared(one, other):
        if value != differing:
            raise TlearnError(
                f"model.ensemble: {one.path} and {other.path} differ in {what}: {value} and {differing}; "
                "take members that agree in it"
            )


def _compared(one: _Read, other: _Read) -> Iterator[tuple[str, Any, Any]]:
    yield "task", one.about.task, other.about.task
    names = [[canonical(name) for name in each.about.class_names] for each in (one, other)]
    yield "classes", _list(names[0]), _list(names[1])
    yield "channels (model.in_channels)", one.options.in_channels, other.options.in_channels
    yield "the size that the network sees (model.image_size)", one.options.image_size, other.options.image_size
    pictures = [dict(leaves_of(plain(each.about.pictures or {}))) for each in (one, other)]
    for name in dict.fromkeys([*pictures[0], *pictures[1]]):
        yield f"how pictures are read ({name})", pictures[0].get(name), pictures[1].get(name)
    for statistic in ("mean", "std"):
        found = [each.state[f"preprocess.{statistic}"].tolist() for each in (one, other)]
        told = [[round(value, 6) for value in values] for values in found]
        yield f"the pixels' {statistic} (model.pixel_{statistic})", told[0], told[1]


def _numbered(read: Sequence[_Read]) -> Iterator[int]:
    """Number the backbones; one that is equal to an earlier member's, to the last bit, has its number."""
    found: list[_Read] = []
    for each in read:
        number = next((n for n, earlier in enumerate(found) if _is_same_backbone(earlier, each)), len(found))
        if number == len(found):
            found.append(each)
        yield number


def _is_same_backbone(one: _Read, other: _Read) -> bool:
    if any(getattr(one.options, name) != getattr(other.options, name) for name in _SHARED):
        return False
    states = [behind(each.state, "backbone.") for each in (one, other)]
    return states[0].keys() == states[1].keys() and all(torch.equal(x, states[1][n]) for n, x in states[0].items())


def _list(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names)})"


_FREE = ("self", "num_classes", "class_names", "task", "ensemble", "feature_cache", "feature_cache_gb")


def idle_beside(option: str) -> TlearnError:
    """Return the error of an option that makes or trains a network, which the members are already."""
    return TlearnError(
        f"{option} says how a network is made or trained, and the members of model.ensemble are trained; drop one of "
        "the two"
    )


def differing(name: str, value: Any, of_members: Any) -> TlearnError:
    """Return the error of an option of the model that is another one than the members'."""
    return TlearnError(f"model.{name} is {value}, that of the members of model.ensemble is {of_members}; drop it")


def members_beside(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Ensemble:
    """Open the members that ``ensemble`` names, and refuse options that would do nothing, or contradict the members.

    Args:
        given: Option of `tlearn.TransferModule` to its value.
        defaults: Option to the value that it has where nobody sets it.

    Raises:
        TlearnError: A member cannot be taken, the members differ, they answer something else than is asked, or there is
            such an option; its value and that of the members are named.
    """
    members = open_ensemble(given["ensemble"])
    follows = members.options()
    for name in (name for name in defaults if name not in _FREE):
        value = given[name]
        if value == defaults[name] or (name in follows and value == follows[name]):
            continue
        if name in ("image_size", "in_channels"):
            raise differing(name, value, follows[name])
        raise idle_beside(f"model.{name}")
    members.check_for(given["task"], given["class_names"], given["num_classes"])
    return members
