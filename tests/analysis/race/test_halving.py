"""Which runs of a race are paused, and which go on."""

from __future__ import annotations

import math

from tlearn.analysis.race.halving import going_on, rungs


def test_runs_are_paused_after_a_share_of_their_epochs() -> None:
    assert [rungs(epochs) for epochs in (1, 2, 3, 6, 10, 16, 20)] == [(), (), (2,), (3,), (5,), (8,), (10,)]


def test_the_least_losses_go_on_and_what_diverged_does_not() -> None:
    losses = {"1e-4": 0.7, "3e-4": 0.5, "1e-3": math.nan, "partial": 0.5}
    assert going_on(losses, 2) == ["3e-4", "partial"]
    assert going_on(losses, 9) == ["3e-4", "partial", "1e-4"]
    assert going_on(losses, 0) == []
