"""Images of a group are not independent: intervals and tests take whole groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tlearn.analysis.ranking import interval_of, p_value_of, rank
from tlearn.base.intervals import grouped_interval, share_interval


def draw(
    rng: np.random.Generator, count: int, mean: float = 0.85, spread: float = 0.1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make scores of 0 and 1 in groups of 5 to 40 images, of which each has a share of its own."""
    total = mean * (1 - mean) / spread**2 - 1
    shares = rng.beta(mean * total, (1 - mean) * total, count)
    groups = np.repeat(np.arange(count), rng.integers(5, 41, count))
    return (rng.random(len(groups)) < shares[groups]).astype(float), groups


@pytest.mark.parametrize(
    ("count", "least"),
    [(5, 0.86), pytest.param(10, 0.88, marks=pytest.mark.slow), pytest.param(30, 0.9, marks=pytest.mark.slow)],
)
def test_the_interval_over_groups_holds_the_mean(count: int, least: float) -> None:
    rng = np.random.default_rng(0)
    held = dict.fromkeys(("groups", "images"), 0)
    for _ in range(200):
        scores, groups = draw(rng, count)
        of_images = share_interval(scores.sum(), len(scores))
        for name, found in (("groups", grouped_interval(scores, groups)), ("images", of_images)):
            held[name] += found is None or found[0] <= 0.85 <= found[1]
    assert held["groups"] / 200 >= least
    assert held["images"] / 200 < 0.82


def test_one_group_or_one_score_has_no_interval() -> None:
    assert grouped_interval(np.array([0.0, 1.0]), np.array([3, 3])) is None
    assert grouped_interval(np.ones(4), np.array([0, 0, 1, 1])) is None


def test_groups_of_one_image_are_images() -> None:
    scores = np.random.default_rng(0).normal(size=(1, 400))
    assert interval_of(scores, np.arange(400)) == pytest.approx(interval_of(scores), abs=0.01)


def test_whole_groups_are_swapped() -> None:
    # Of 40 images one answers 20 better: as images that is beyond chance, as two of four groups it is not.
    best, other, groups = np.ones((1, 40)), np.ones((1, 40)), np.repeat([7, 5, 9, 2], 10)
    other[0, :20] = 0
    assert p_value_of(other, best) < 1e-4
    assert p_value_of(other, best, groups) == pytest.approx(0.5)
    standing = rank({"best": best, "other": other}, True, groups)[1]
    assert standing.p_value == pytest.approx(0.5)
    assert standing.interval == (0.0, 1.0)


def test_an_exact_p_value_over_groups() -> None:
    # Three groups differ by 3, 2 and 1 images in favour of one: of 8 signs only two are as far from 0.
    groups = np.array([0, 0, 0, 1, 1, 2])
    assert p_value_of(np.zeros((1, 6)), np.ones((1, 6)), groups) == pytest.approx(2 / 8)
