"""Find a network's tensors in what a checkpoint of any framework holds. Pure functions over names and shapes.

A name in a file is its path: the keys of the dictionaries round it, and its own. A prefix is the part of it in front of
the name that the network's library gives the tensor, such as ``state_dict.module.encoder_q.``; it ends with a dot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
_WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_DEEPEST = 12
_MOST_DICTIONARIES = 10_000
_MOST_GROUPS = 5
_MOST_PARTS = 12
# What is taken of two that fit alike, as those who wrote them evaluate: the first word's, not the second's. ``None`` is
# any prefix without the first word. timm and torchvision evaluate the average (ema), DINO and DINOv2 the teacher, MoCo
# and SimSiam's kin the encoder that learns by gradients, Lightning the averaged ``state_dict``.
_PREFERRED: tuple[tuple[str | None, str | None], ...] = (
    ("ema", None),
    ("swa", None),
    ("teacher", "student"),
    ("encoder_q", "encoder_k"),
    ("query", "key"),
    ("online", "target"),
    (None, "momentum"),
    ("state_dict", "current_model_state"),
)


def tensors_in(content: dict[Any, Any]) -> State:
    """Return every tensor in nested dictionaries by its path, without what ``torch.compile`` and FSDP put in it."""
    found: State = {}
    waiting: list[tuple[str, dict[Any, Any], int]] = [("", content, 0)]
    looked_at = 0
    while waiting and looked_at < _MOST_DICTIONARIES:  # a file may hold one in many places, and in itself
        path, inside, depth = waiting.pop()
        looked_at += 1
        for key, value in inside.items():
            if isinstance(value, Tensor):
                found.setdefault(_WRAPPERS.sub("", f"{path}{key}"), value)
        deeper = [(f"{path}{key}.", value, depth + 1) for key, value in inside.items() if isinstance(value, dict)]
        waiting += reversed(deeper) if depth < _DEEPEST else []
    return found


def needed_names(network: nn.Module) -> list[str]:
    """Name the tensors that a network cannot do without: all but counters and indices, which it makes itself."""
    parameters = dict(network.named_parameters(remove_duplicate=False))
    return [name for name, value in network.state_dict().items() if name in parameters or value.is_floating_point()]


def prefixes_of(names: Iterable[str], wanted: Iterable[str]) -> Counter[str]:
    """Count for each prefix how many of the wanted names stand behind it."""
    counts: Counter[str] = Counter()
    wanted_set = set(wanted)
    for name in names:
        for prefix, rest in _splits(name):
            if rest in wanted_set:
                counts[prefix] += 1
    return counts


def behind(tensors: State, prefix: str) -> State:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def misfits(wanted: State, state: State) -> list[str]:
    """Name the tensors that the file has in another shape, or as whole numbers where the network has others."""
    return [
        name
        for name, here in wanted.items()
        if name in state
        and (state[name].shape != here.shape or here.is_floating_point() > state[name].is_floating_point())
    ]


def fitting(tensors: State, network: nn.Module) -> dict[str, State]:
    """Return prefix to the network's tensors, for each prefix that has all that it needs, in the right shapes."""
    needed = needed_names(network)
    complete = [prefix for prefix, count in prefixes_of(tensors, needed).items() if count == len(needed)]
    found = {prefix: fitted(network, behind(tensors, prefix)) for prefix in complete}
    return {prefix: state for prefix, state in found.items() if state}


def fitted(network: nn.Module, state: State) -> State | None:
    """Return the network's own tensors of a state, or ``None`` where one is missing or has another shape."""
    wanted = network.state_dict()
    if misfits(wanted, state) or any(name not in state for name in needed_names(network)):
        return None
    return {name: state[name] for name in wanted if name in state}


def by_number(network: nn.Module, tensors: State) -> dict[str, str]:
    """Give tensors the names of a network whose parts were put into an ``nn.Sequential``, as in lightly's examples.

    There the number of a part stands for its name: ``backbone.4.0.conv1.weight`` is ``layer1.0.conv1.weight``.

    Returns:
        Name in the file to the network's, behind the same prefix, where all that the network needs is there.
    """
    numbers = {name: str(number) for number, (name, _) in enumerate(network.named_children())}
    names = {}
    for name in network.state_dict():
        first, dot, rest = name.partition(".")
        names[f"{numbers.get(first, first)}{dot}{rest}"] = name
    needed = len(needed_names(network))
    complete = [prefix for prefix, count in prefixes_of(tensors, names).items() if count >= needed]
    return {prefix + rest: prefix + name for prefix in complete for rest, name in names.items()}


def large_parts(tensors: State, count: int) -> list[str]:
    """Return the prefixes that have at least half as many tensors behind them as a network has, most of them first."""
    counts = Counter(prefix for name in tensors for prefix, _ in _splits(name))
    return [prefix for prefix, behind_it in counts.most_common(_MOST_PARTS) if 2 * behind_it >= count]


def choose(prefixes: Sequence[str], same: Callable[[str, str], bool]) -> list[str]:
    """Return the prefix to take, or those between which only the user can choose.

    Args:
        prefixes: Those behind which the whole network stands, in the order of the file.
        same: Whether the tensors behind two prefixes are alike to the last bit.
    """
    best = [each for each in prefixes if not any(_beats(other, each) for other in prefixes)]
    return best[:1] if all(same(best[0], other) for other in best[1:]) else best


def groups(names: Sequence[str]) -> str:
    """Name what was left by the parts of the file that it stands in, with the number of tensors of each."""
    counts = Counter(".".join(name.split(".")[:-1][:3]) or name for name in names)
    while len(counts) > _MOST_GROUPS and any("." in name for name in counts):
        deepest = max(name.count(".") for name in counts)
        shorter: Counter[str] = Counter()
        for name, count in counts.items():
            shorter[name.rpartition(".")[0] if name.count(".") == deepest else name] += count
        counts = shorter
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:_MOST_GROUPS]]
    return ", ".join([*shown, *(["..."] if len(counts) > _MOST_GROUPS else [])])


def alike(one: State, other: State) -> bool:
    """Tell whether two sets of tensors are the same to the last bit."""
    return all(torch.equal(value, other[name]) for name, value in one.items() if name in other)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    yield "", name
    for dot in re.finditer(r"\.", name):
        yield name[: dot.end()], name[dot.end() :]


def _beats(one: str, other: str) -> bool:
    return _preferred(one, other) and not _preferred(other, one)


def _preferred(one: str, other: str) -> bool:
    for better, worse in _PREFERRED:
        if better is None:
            if _has(other, worse) and not _has(one, worse):
                return True
        elif _has(one, better) and (not _has(other, better) if worse is None else _has(other, worse)):
            return True
    return False


def _has(prefix: str, word: str | None) -> bool:
    return re.search(rf"(?<![a-z]){word}(?![a-z])", prefix.lower()) is not None
