"""Abstention: the promise over many draws, what is needed where it is impossible, and the risk-coverage curve."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.models.reliability.abstention import (
    check_can_abstain,
    confidence_by_label,
    confidence_for,
    confident_down_to,
    fewest_right,
)
from tlearn.models.reliability.risk_coverage import area_under_risk_coverage, risk_coverage


def answers(count: int, seed: int, power: float = 4.0) -> tuple[Tensor, Tensor]:
    """Return confidences, uniform in 0 to 1, and whether the answers are right: wrong with ``(1 - c)^power / 2``."""
    generator = torch.Generator().manual_seed(seed)
    sure = torch.rand(count, generator=generator, dtype=torch.float64)
    return sure, torch.rand(count, generator=generator) >= (1 - sure) ** power / 2


def true_accuracy(threshold: float, power: float = 4.0) -> float:
    """Return the accuracy of all answers above a confidence."""
    return 1 - math.pow(1 - threshold, power) / (2 * (power + 1))


@pytest.mark.parametrize(("count", "min_accuracy"), [(100, 0.95), (400, 0.95), (6000, 0.95)])
def test_the_promise_is_kept_in_95_of_100_draws(count: int, min_accuracy: float) -> None:
    broken, given, draws = 0, 0.0, 100 if count == 6000 else 150
    for seed in range(draws):
        found = confident_down_to(*answers(count, seed, 1.0), min_accuracy)
        if found.confidence is not None:
            broken += true_accuracy(found.confidence, 1.0) < min_accuracy
            given += 1 - found.confidence
            assert found.bound >= min_accuracy
    assert broken <= draws * 0.05 + 2 * (draws * 0.05 * 0.95) ** 0.5  # two standard errors
    if count == 6000:  # at the best threshold 0.2 are answered
        assert given / draws > 0.08


def test_each_of_three_numbers_of_pictures_answers_more() -> None:
    shares = [confident_down_to(*answers(count, 3), 0.95).share for count in (60, 600, 6000)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.8  # at the best threshold: 0.84


def test_one_early_error_does_not_end_it() -> None:
    sure = torch.linspace(1, 0, 1000, dtype=torch.float64)
    right = torch.ones(1000, dtype=torch.bool)
    right[2] = False
    found = confident_down_to(sure, right, 0.98)
    assert found.confidence == 0
    assert (found.share, found.accuracy, found.answered) == (1, 0.999, 1000)
    assert 0.98 < found.bound < 0.999


def test_all_right_needs_149_for_98_percent() -> None:
    assert (fewest_right(0.98), fewest_right(0.9), fewest_right(0.95)) == (149, 29, 59)
    probabilities = torch.full((149, 2), 0.1) + torch.tensor([0.8, 0.0])
    targets = torch.zeros(149, dtype=torch.long)
    found = confidence_for(probabilities, targets, 0.98)
    assert found.confidence == pytest.approx(0.9)
    assert found.share == 1
    assert found.bound == pytest.approx(0.05 ** (1 / 149))
    less = confidence_for(probabilities[1:], targets[1:], 0.98)
    assert (less.confidence, less.share, less.held_out, less.answered, less.needed) == (None, 0, 148, 0, 149)
    assert math.isnan(less.bound)
    none = confidence_for(probabilities[:0], targets[:0], 0.98)
    assert (none.confidence, none.held_out, none.needed) == (None, 0, 149)


def test_equal_confidences_are_answered_together_or_not_at_all() -> None:
    sure = torch.full((200,), 0.9)
    right = torch.arange(200) >= 20
    assert confident_down_to(sure, right, 0.95).confidence is None
    assert confident_down_to(sure, right.flip(0), 0.95).confidence is None
    assert confident_down_to(sure, right, 0.8).share == 1


def test_what_would_be_needed_where_answers_are_not_good_enough() -> None:
    sure, right = answers(200, 0)
    found = confident_down_to(sure, right, 0.98)
    assert found.confidence is None
    assert found.needed is not None
    assert 200 < found.needed < 2000
    more = [confident_down_to(*answers(found.needed, seed), 0.98).confidence for seed in range(20)]
    assert sum(each is not None for each in more) >= 10
    hopeless = confident_down_to(sure, torch.arange(200) % 2 == 0, 0.98)
    assert (hopeless.confidence, hopeless.share) == (None, 0)
    assert confident_down_to(sure, torch.zeros(200, dtype=torch.bool), 0.98).needed is None


def test_with_groups_the_unit_is_a_group() -> None:
    sure, right = torch.linspace(1, 0.5, 900), torch.ones(900, dtype=torch.bool)
    few = confident_down_to(sure, right, 0.9, groups=torch.arange(900) % 20)
    assert (few.confidence, few.held_out, few.needed) == (None, 20, 29)
    many = confident_down_to(sure, right, 0.9, groups=torch.arange(900) % 30)
    assert (many.share, many.held_out, many.answered) == (1, 30, 30)
    assert many.bound == pytest.approx(0.05 ** (1 / 30), abs=1e-4)
    alone = confident_down_to(sure, right, 0.9, groups=torch.arange(900))
    assert alone.share == 1


def test_with_groups_the_promise_is_kept_where_pictures_of_a_group_are_alike() -> None:
    kept, of_pictures = 0, 0
    for seed in range(80):
        generator = torch.Generator().manual_seed(seed)
        groups = torch.arange(40).repeat_interleave(25)
        bad = (torch.rand(40, generator=generator) < 0.12)[groups]  # all wrong in such a group: 0.88 are right
        sure = torch.rand(1000, generator=generator)
        kept += confident_down_to(sure, ~bad, 0.9, groups=groups).confidence is None
        of_pictures += confident_down_to(sure, ~bad, 0.9).confidence is None
    assert kept >= 74
    assert of_pictures < 70


def test_each_of_several_labels_has_its_own_threshold() -> None:
    sure, right = answers(1000, 0)
    given = 0.5 + sure / 2
    targets = torch.stack([right.float(), torch.arange(1000) % 2, torch.full((1000,), torch.nan)], dim=1).float()
    targets[:100, 0] = torch.nan
    easy, coin, unknown = confidence_by_label(torch.stack([given] * 3, dim=1), targets, 0.9)
    assert easy.share > 0.7
    assert easy.held_out == 900
    assert coin.confidence is None
    assert (unknown.confidence, unknown.held_out, unknown.needed) == (None, 0, 29)
    flipped = confidence_by_label(torch.stack([1 - given] * 3, dim=1), 1 - targets, 0.9)[0]  # sure of "no"
    assert flipped.confidence == pytest.approx(easy.confidence)


def test_what_is_refused() -> None:
    sure, right = answers(50, 0)
    for share in (0.0, 1.0, 98.0):
        with pytest.raises(TlearnError, match="min_accuracy: expected a share above 0 and below 1"):
            confident_down_to(sure, right, share)
    with pytest.raises(TlearnError, match="expected finite probabilities; those of 1 of 2 pictures are not"):
        confidence_for(torch.tensor([[0.5, 0.5], [torch.nan, 0.1]]), torch.tensor([0, 1]), 0.9)
    with pytest.raises(TlearnError, match="the values of a regression are not right or wrong; ask for coverage"):
        check_can_abstain("regression")
    check_can_abstain("multilabel")


def test_the_risk_coverage_curve() -> None:
    confidence = torch.tensor([0.5, 0.9, 0.7, 0.5])
    coverage, risk = risk_coverage(confidence, torch.tensor([False, True, False, True]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == pytest.approx([0, 0.5, 0.5, 0.5])  # the two at 0.5: half an error each
    area = area_under_risk_coverage(confidence, torch.tensor([True, True, False, False]))
    assert area == pytest.approx((0 + 0.5 + 0.5 + 0.5) / 4)
    sure, right = answers(10_000, 0)
    by_chance = area_under_risk_coverage(torch.rand(10_000, generator=torch.Generator().manual_seed(0)), right)
    assert by_chance == pytest.approx(float((~right).double().mean()), abs=0.01)
    assert area_under_risk_coverage(sure, right) < by_chance / 2
