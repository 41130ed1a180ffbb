"""The optimizer's learning rates: a rate for each group, and the warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from tlearn.base.errors import TlearnError

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


def rising_share(step: int, steps: int) -> float:
    """Return the share of its rate that a step has: in a straight line up to the whole, which follows the warm-up.

    Args:
        step: Counted from 0 at the warm-up's start; a negative one lies before it.
        steps: How many steps the warm-up has; 0 for none.
    """
    return 1.0 if step < 0 else min(1.0, (step + 1) / (steps + 1))


def check_warm_up(steps: int | None, epochs: int | None, scheduler: Any = None) -> None:
    """Check the options of the run's warm-up.

    Args:
        steps: ``model.warmup_steps``.
        epochs: ``model.warmup_epochs``.
        scheduler: What ``model.lr_scheduler`` makes, once it is made.

    Raises:
        TlearnError: Both are given, one is no number of them, or the scheduler has a warm-up of its own.
    """
    given: dict[str, Any] = {"warmup_steps": steps, "warmup_epochs": epochs}  # from Python anything may come
    for option, value in given.items():
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise TlearnError(f"model.{option}: expected a whole number above 0, got {value}")
    if steps and epochs:
        raise TlearnError(f"model.warmup_steps {steps} and model.warmup_epochs {epochs} are one warm-up; give one")
    if (steps or epochs) and isinstance(scheduler, OneCycleLR):
        option = "warmup_steps" if steps else "warmup_epochs"
        raise TlearnError(f"OneCycleLR has a warm-up of its own, its option pct_start; drop model.{option}")


class SharedFunction:
    """A function that copies of a module share: what the command line gives holds all of it, the data too.

    A pickle holds the function by its name, so a lambda of the user's cannot be sent; a function of a module can.

    Args:
        make: Takes parameter groups, or an optimizer.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __call__(self, given: Any) -> Any:
        """Call the function."""
        return self.make(given)

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedFunction:
        """Share, do not copy."""
        return self


def tutorial_optimizer(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Return the tutorial's optimizer: the lambda that is the option's default, under a name."""
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
