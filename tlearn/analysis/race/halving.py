"""Successive halving: at which epochs the runs of a race are paused, and which go on. Pure.

A paused run is not ended: it is continued exactly, so that the one that wins is the run it would have been.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# Of the epochs, after which runs are compared. A pause after 0.3 of them made the result 0.8 points worse than none,
# one after a half 0.3 points: see `benchmarks.choice.score`.
RUNG_SHARE = 0.5


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the numbers of epochs after which runs are paused and compared, the first epoch being 1.

    Args:
        epochs: Of a whole run. With 2 or fewer nothing is paused, for then it would save nothing.
    """
    first = max(1, math.ceil(RUNG_SHARE * epochs))
    return (first,) if epochs > 2 else ()


def going_on(losses: Mapping[str, float], count: int) -> list[str]:
    """Return the runs that go on: those with the least loss, the least first. Equal ones keep the order given.

    Args:
        losses: Name of a run to its loss on validation; a run that diverged (NaN or infinite) never goes on.
        count: How many go on at most.
    """
    finite = [name for name, loss in losses.items() if math.isfinite(loss)]
    return sorted(finite, key=losses.__getitem__)[: max(0, count)]
