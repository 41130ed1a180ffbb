"""Scale the rates that an optimizer's groups and its scheduler hold, group by group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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
