"""The time of a race: what was typed, what is spent, and what is left for training."""

from __future__ import annotations

import re
import time

from tlearn.base.errors import TlearnError

AUTO = "auto"
AUTO_FACTOR = 3.0  # of what a whole run takes: four members to the pause, two to the end took 2.9, see strategies.md
OVERRUN = 0.1  # of the budget: by so much a run that is under way may be late, for it is worth nothing before its end
TRAINING = 3.0  # what an image costs to train, beside a pass without gradients
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float | None:
    """Read a budget: ``90s``, ``10m``, ``1.5h``; ``None`` for ``auto``.

    Raises:
        TlearnError: It is neither.
    """
    if text == AUTO:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise TlearnError(f"--budget: expected a time above 0, such as 90s, 10m or 2h, or auto, got '{text}'")
    return float(found[1]) * _UNITS[found[2]]


class Clock:
    """Counts down a budget.

    Args:
        budget_s: Seconds; ``None`` until `settle` knows them.
        spent_s: Seconds that earlier commands have put into the same race.

    Attributes:
        reserve_s: Seconds that are kept for what comes behind the last training.
        is_auto: The budget follows from what a run takes.
    """

    def __init__(self, budget_s: float | None, spent_s: float = 0.0) -> None:
        self.budget_s, self.spent_s, self.is_auto, self.reserve_s = budget_s, spent_s, budget_s is None, 0.0
        self._start_s = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since this command began, without Python's own start."""
        return time.perf_counter() - self._start_s

    def settle(self, run_s: float, more_s: float = 0.0) -> None:
        """Let a budget that follows from it be known.

        Args:
            run_s: What one whole run takes, from start to end.
            more_s: What training from scratch takes, where it races beside others.
        """
        if self.is_auto:
            self.budget_s = AUTO_FACTOR * run_s + more_s

    @property
    def left_s(self) -> float:
        """Return the seconds left for training; infinite before the budget is known."""
        if self.budget_s is None:
            return float("inf")
        return self.budget_s - self.spent_s - self.elapsed_s - self.reserve_s

    @property
    def grace_s(self) -> float:
        """Return by how much a run that is under way may be late."""
        return OVERRUN * (self.budget_s or 0.0)
