"""The optimizer and its learning rates: a rate for each group, a scheduler, and the warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR, ReduceLROnPlateau

from tlearn.base.errors import TlearnError, one_line
from tlearn.training.checkpoint_content import with_python_numbers
from tlearn.training.exact_resume import monitor_of
from tlearn.training.options import RateOptions

# These are meant to step at every batch; all others step once an epoch.
_STEPWISE_SCHEDULERS = (OneCycleLR, CyclicLR)
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


def build_optimizer(
    groups: list[dict[str, Any]],
    make_optimizer: Callable[[Any], Optimizer],
    make_scheduler: Callable[[Any], Any] | None,
    rates: RateOptions,
) -> Optimizer | dict[str, Any]:
    """Build an optimizer and its scheduler.

    Args:
        groups: The optimizer's; ``lr_scale`` of each is taken out and becomes part of its rate.
        make_optimizer: Builds it from groups.
        make_scheduler: Builds the scheduler from it, if there is one.
        rates: How the rates move.

    Returns:
        What Lightning's ``configure_optimizers`` returns.

    Raises:
        TlearnError: One does not take its options, or a number is infinite or none.
    """
    optimizer: Optimizer = _built("optimizer", make_optimizer, groups)
    for group in optimizer.param_groups:
        with_python_numbers(group)
    _check_groups(optimizer.param_groups)
    scales = [group.pop("lr_scale") for group in optimizer.param_groups]
    scale_rates(optimizer.param_groups, [], scales)
    if make_scheduler is None:
        return optimizer
    scheduler = _built("lr_scheduler", make_scheduler, optimizer)
    with_python_numbers(vars(scheduler))
    rates.check_scheduler(scheduler)
    # These set all groups to rates of their own; where the user lists one for each group, those stand.
    if isinstance(scheduler, _STEPWISE_SCHEDULERS) and len(set(peak_rates(optimizer.param_groups, [scheduler]))) == 1:
        scale_rates(optimizer.param_groups, [scheduler], scales)
    usual = "step" if isinstance(scheduler, _STEPWISE_SCHEDULERS) else "epoch"
    config: dict[str, Any] = {"scheduler": scheduler, "interval": rates.lr_interval or usual}
    if isinstance(scheduler, ReduceLROnPlateau):
        config["monitor"] = monitor_of(scheduler, rates.lr_interval)
    return {"optimizer": optimizer, "lr_scheduler": config}


def _built(option: str, make: Callable[[Any], Any], given: Any) -> Any:
    try:
        return make(given)
    except (ValueError, TypeError) as error:
        raise TlearnError(f"model.{option} does not take its init_args: {one_line(error, 200)}") from error


def _check_groups(groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        for name, value in group.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise TlearnError(f"model.optimizer.init_args.{name}: expected a finite number, got {value}")


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
