"""Scale the rates that an optimizer's groups and its scheduler hold, group by group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

_IN_GROUPS = ("lr", "initial_lr", "max_lr", "min_lr")
_IN_SCHEDULERS = ("base_lrs", "max_lrs", "_last_lr")


def scale_rates(groups: Sequence[dict[str, Any]], schedulers: Iterable[Any], factors: Sequence[float]) -> None:
    """Multiply every rate by its group's factor, those too that a scheduler will come back to.

    Args:
        groups: The optimizer's.
        schedulers: Those that were built on it.
        factors: One for each group.
    """
    for group, factor in zip(groups, factors, strict=True):
        group.update({key: group[key] * factor for key in _IN_GROUPS if key in group})
    for scheduler in schedulers:
        _scale_scheduler(scheduler, factors)


def _scale_scheduler(scheduler: Any, factors: Sequence[float]) -> None:
    for key in _IN_SCHEDULERS:
        if hasattr(scheduler, key):
            rates = zip(getattr(scheduler, key), factors, strict=True)
            setattr(scheduler, key, [rate * factor for rate, factor in rates])
    for inner in getattr(scheduler, "_schedulers", ()):  # SequentialLR, ChainedScheduler
        _scale_scheduler(inner, factors)


def peak_rates(groups: Sequence[dict[str, Any]], schedulers: Iterable[Any]) -> list[float]:
    """Return the highest rate that each group will reach: warm-ups and cycles start far below it."""
    peaks = [float(group.get("max_lr", group.get("initial_lr", group["lr"]))) for group in groups]
    for scheduler in schedulers:
        peaks = [float(rate) for rate in getattr(scheduler, "max_lrs", peaks)]
    return peaks


def named_groups(groups: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each of an optimizer's groups with its name, as Lightning calls one that has none: ``pg1``, ``pg2``."""
    return ((str(group.get("name", f"pg{number}")), group) for number, group in enumerate(groups, 1))


def starting_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the learning rate that each group began with, by name: a scheduler keeps it beside the current one."""
    named = named_groups(optimizer.param_groups)
    return {name: float(group.get("initial_lr", group["lr"])) for name, group in named}


def rates_that_give_way(given: Mapping[str, float], resumed: Mapping[str, float]) -> str | None:
    """Say that a resume brings its own learning rates, where the optimizer was built with others.

    Args:
        given: Those that it was built with, see `starting_rates`.
        resumed: Those that it has once the checkpoint is read.
    """
    differing = [name for name in resumed if name in given and given[name] != resumed[name]]
    if not differing:
        return None
    each = ", ".join(f"{name} {resumed[name]:g}, not {given[name]:g}" for name in differing)
    return (
        f"the resume goes on at the checkpoint's learning rates: {each}; to start anew from its weights at your own: "
        "model.weights"
    )
