"""Which member trains next: all to the first stop, the better ones on, and only what fits into the time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tlearn.analysis.race.schedule import Costs, Leg, Standing, missing_s, next_leg

NAMES = ("likely", "second", "third", "fourth")
LOSS = {"likely": 0.5, "second": 0.4, "third": 0.9, "fourth": 0.6, "scratch": 0.45}
COSTS = Costs(epochs=10, epoch_s=10.0, start_s=0.0)


def raced(left_s: float, stops: tuple[int, ...] = (3,), names: tuple[str, ...] = NAMES) -> list[tuple[str, int]]:
    """Run a race in which an epoch of each takes 10 s, and return its legs."""
    members = {name: Standing(name) for name in names}
    legs: list[tuple[str, int]] = []
    while leg := next_leg(list(members.values()), stops, COSTS, left_s):
        member = members[leg.name]
        left_s -= COSTS.of(member, leg.until)
        members[leg.name] = replace(member, losses=(LOSS[leg.name],) * leg.until, epoch_s=10.0)
        legs.append((leg.name, leg.until))
        assert left_s >= 0
    return legs


def test_with_time_all_go_to_the_first_stop_and_the_two_best_to_the_end() -> None:
    first = [(name, 3) for name in NAMES]
    assert raced(1000) == [*first, ("second", 10), ("likely", 10)]


def test_another_begins_only_if_the_best_can_still_be_finished() -> None:
    assert raced(160) == [("likely", 3), ("second", 3), ("third", 3), ("second", 10)]
    assert raced(135) == [("likely", 3), ("second", 3), ("second", 10)]
    assert raced(125) == [("likely", 3), ("likely", 10)]
    assert raced(100) == [("likely", 3), ("likely", 10)]


def test_nothing_begins_that_cannot_be_finished() -> None:
    assert raced(99) == []
    assert missing_s([Standing("likely")], COSTS, 90) == pytest.approx(10)
    assert missing_s([Standing("likely", (0.5,) * 10)], COSTS, 0) == 0


def test_without_stops_each_is_run_whole() -> None:
    assert raced(250, stops=()) == [("likely", 10), ("second", 10)]


def test_of_many_a_half_goes_on_at_each_stop_and_two_at_the_least() -> None:
    legs = raced(10_000, stops=(2, 5))
    assert legs == [*((name, 2) for name in NAMES), ("second", 5), ("likely", 5), ("second", 10), ("likely", 10)]


def test_a_network_that_is_half_frozen_is_taken_for_cheaper_until_it_is_measured() -> None:
    assert COSTS.of(Standing("partial_3e-4"), 10) == pytest.approx(70)
    assert COSTS.of(Standing("partial_3e-4", (1.0,), 20.0), 10) == pytest.approx(180)


def test_what_diverged_at_the_stop_does_not_go_on() -> None:
    members = [Standing("likely", (float("nan"),) * 3, 10.0), Standing("second", (0.5,) * 3, 10.0)]
    assert next_leg(members, (3,), COSTS, 1000) == Leg("second", 10)


def test_a_race_of_nobody_ends() -> None:
    assert next_leg([], (3,), COSTS, 1000) is None


def test_from_scratch_stops_as_far_on_its_way_as_the_others_and_begins_where_its_end_would_fit() -> None:
    names = ("likely", "second", "scratch")
    ends = [("second", 10), ("scratch", 30)]
    assert raced(1000, names=names) == [("likely", 3), ("second", 3), ("scratch", 9), *ends]
    assert raced(210, names=names) == [("likely", 3), ("second", 3), ("second", 10), ("likely", 10)]
    assert missing_s([Standing("scratch", (0.5,) * 9)], COSTS, 200) == pytest.approx(10)
