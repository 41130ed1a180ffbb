"""Which runs a greedy soup takes, and which of all candidates is kept."""

from __future__ import annotations

import numpy as np
import pytest

from tlearn.analysis.soups.candidates import Candidate, Kind, judged, kept_of, standard_error
from tlearn.analysis.soups.greedy import greedy_soup


def test_greedy_soup_takes_in_order_what_does_no_harm() -> None:
    losses = {
        ("a",): 0.5,
        ("a", "b"): 0.6,  # out
        ("a", "c"): 0.5,  # as good: in
        ("a", "c", "d"): 0.4,  # in
    }
    asked = list[tuple[str, ...]]()

    def loss_of(names: tuple[str, ...]) -> float:
        asked.append(names)
        return losses[names]

    assert greedy_soup(["a", "b", "c", "d"], loss_of) == ("a", "c", "d")
    assert asked == list(losses)


def _candidate(kind: Kind, losses: list[float], right: list[int] | None = None) -> Candidate:
    members = ("a",) if kind == "single" else ("a", "b")
    scores = np.array(right if right is not None else [1] * len(losses), dtype=np.float64)
    return Candidate(kind, kind, members, np.array(losses), scores)


def test_the_simplest_within_one_standard_error_is_kept() -> None:
    single = _candidate("single", [0.5, 0.5, 0.5, 0.5])
    soup = _candidate("soup", [0.4, 0.6, 0.4, 0.4])  # 0.05 below, with a standard error of 0.05
    ensemble = _candidate("ensemble", [0.4, 0.5, 0.4, 0.4])
    kept = kept_of([single, soup])
    assert kept.candidate is single
    assert [kept.difference, kept.standard_error] == pytest.approx([0.05, 0.05])
    # 0.075 +- 0.025 below the single run, 0.025 +- 0.025 below the soup, which costs one pass
    kept = kept_of([single, soup, ensemble])
    assert kept.least is ensemble
    assert kept.candidate is soup


def test_images_of_a_group_count_as_one() -> None:
    values = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    assert standard_error(values) == pytest.approx(0.2236, abs=1e-4)
    assert standard_error(values, np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(0.5)


def test_only_what_is_made_of_runs_is_tested_and_corrected() -> None:
    wrong_six = [0] * 6 + [1] * 14
    single = _candidate("single", [0.5] * 20, wrong_six)
    soup = _candidate("soup", [0.5] * 20, [1] * 20)  # all six more: p = 2 / 2**6
    ensemble = _candidate("ensemble", [0.5] * 20, wrong_six)
    rows = judged([single, soup, ensemble])
    assert [row.p_value for row in rows] == [None, pytest.approx(2 * 2 / 2**6), 1.0]
    assert rows[1].difference == pytest.approx(0.3)
