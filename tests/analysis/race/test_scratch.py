"""Training from scratch joins a race where a head on random weights comes near the best head."""

from __future__ import annotations

import math

import pytest
import torch

from tlearn.analysis.race.scratch import Nearness, nearness


def logits(losses: list[float]) -> torch.Tensor:
    """Make logits (N, 2) whose cross-entropy on class 1 is as given."""
    right = torch.tensor(losses).neg().exp()
    return torch.stack([1 - right, right], dim=1).log()


def found(random: list[float], best: list[float]) -> Nearness:
    return nearness("classification", logits(random), logits(best), torch.ones(len(best), dtype=torch.long))


def test_near_is_within_one_standard_error_of_the_paired_difference() -> None:
    best = [0.5, 0.5, 0.5, 0.5]
    near = found([0.6, 0.0001, 0.6, 1.0], best)  # more by 0.1, -0.4999, 0.1, 0.5: mean 0.05, standard error 0.205
    assert (near.loss, near.error) == pytest.approx((0.05, 0.2062), abs=1e-3)
    assert near.is_near
    far = found([0.8, 0.6, 0.7, 0.9], best)  # mean 0.25, standard error 0.065
    assert far.error == pytest.approx(0.0645, abs=1e-3)
    assert not far.is_near


def test_less_loss_is_near_and_what_tells_nothing_is_not() -> None:
    assert found([0.1, 0.2, 0.1], [0.5, 0.5, 0.5]).is_near
    assert not found([0.1], [0.5]).is_near
    assert not found([math.nan, 0.1], [0.5, 0.5]).is_near
