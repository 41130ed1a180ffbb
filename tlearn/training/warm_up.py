"""Let learning rates rise at the start of a run, or of a stage that opens later."""

from __future__ import annotations

from typing import Any

from torch.optim.lr_scheduler import OneCycleLR

from tlearn.base.errors import TlearnError


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
