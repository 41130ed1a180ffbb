"""Answer sets and intervals: thresholds by hand, promises over many draws, and what cannot be promised."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.models.reliability.answer_sets import (
    Method,
    answer_sets,
    fit_label_sets,
    fit_sets,
    label_sets,
    raps_scores,
)
from tlearn.models.reliability.held_out import Held, coverage_spread, fewest, threshold_of
from tlearn.models.reliability.intervals import fit_intervals, intervals


def drawn(count: int, seed: int, classes: int = 4, sharpness: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return probabilities (N, K), and classes drawn from other ones: too sure ones, as those of networks are."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator) * 1.5
    targets = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return (logits * sharpness).softmax(dim=1), targets


def test_the_threshold_is_the_smallest_score_that_keeps_the_promise() -> None:
    scores = torch.arange(1, 20, dtype=torch.float64)
    assert threshold_of(Held(scores), 0.9) == 18  # ceil(20 * 0.9)
    assert threshold_of(Held(scores), 0.95) == 19
    assert threshold_of(Held(scores), 0.96) == math.inf
    assert threshold_of(Held(scores), 0.01) == 1


@pytest.mark.parametrize("method", ["lac", "raps"])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_true_class_as_often_as_was_asked_for(method: Method, coverage: float) -> None:
    covered = 0
    for seed in range(400):
        probabilities, targets = drawn(75, seed)
        rule = fit_sets(probabilities[:25], targets[:25], coverage, method)
        covered += int(answer_sets(rule, probabilities, raw=True)[torch.arange(25, 75), targets[25:]].sum())
    exact = math.ceil(26 * coverage) / 26  # of continuous scores
    assert covered / 20_000 == pytest.approx(exact, abs=0.012)  # 3.3 standard errors of 0.9, beta-binomial


def test_lac_takes_the_classes_above_a_probability() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]).double()
    rule = fit_sets(probabilities, torch.tensor([0, 0, 1, 1]), 0.8)
    assert rule.thresholds.tolist() == [pytest.approx(0.6)]
    assert answer_sets(rule, torch.tensor([[0.61, 0.39], [0.5, 0.5], [0.1, 0.9]]).double()).tolist() == [
        [True, False],
        [True, True],
        [False, True],
    ]
    assert (rule.mean_size, rule.single_share, rule.held_out, rule.always) == (1.25, 0.75, 4, ())


def test_the_surest_class_is_always_in() -> None:
    probabilities, targets = drawn(200, 0, sharpness=3)
    probabilities[:] = torch.where(torch.nn.functional.one_hot(targets, 4) == 1, 0.97, 0.01)  # all are right
    rule = fit_sets(probabilities, targets, 0.8)
    unsure = torch.tensor([[0.4, 0.2, 0.2, 0.2]])
    assert not answer_sets(rule, unsure, raw=True).any()
    assert answer_sets(rule, unsure).tolist() == [[True, False, False, False]]
    assert fit_sets(probabilities, targets, 0.8, "raps").thresholds.item() == 0  # by itself


def test_raps_adds_up_what_is_surer_and_a_penalty_for_each_rank() -> None:
    scores = raps_scores(torch.tensor([[0.1, 0.6, 0.3], [0.25, 0.25, 0.5]]))
    expected = torch.tensor([[0.9 + 0.2, 0.0, 0.6 + 0.1], [0.5 + 0.1, 0.5 + 0.1, 0.0]])
    torch.testing.assert_close(scores.float(), expected)
    assert scores[1, 0] == scores[1, 1]  # alike to the last bit


def test_a_class_keeps_its_own_promise_and_one_with_few_pictures_is_always_in() -> None:
    probabilities, targets = drawn(600, 1)
    probabilities = (probabilities.log() + torch.tensor([2.0, 0.0, 0.0, 0.0])).softmax(dim=1)  # others suffer
    targets[targets == 3] = 2
    targets[:8] = 3
    rule = fit_sets(probabilities, targets, 0.9, by_class=True)
    assert rule.always == (3,)
    assert rule.thresholds[3] == math.inf
    found = answer_sets(rule, probabilities, raw=True)
    assert found[:, 3].all()
    shares = [float(found[targets == number, number].double().mean()) for number in range(3)]
    assert all(0.9 <= share < 0.93 for share in shares)
    of_all = answer_sets(fit_sets(probabilities, targets, 0.9), probabilities, raw=True)
    assert float(of_all[targets == 2, 2].double().mean()) < 0.85


def grouped(seed: int, groups: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures of groups of which each has its own difficulty; the first groups are ten times as large."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.full((groups,), size)
    counts[: groups // 2] *= 10
    codes = torch.arange(groups).repeat_interleave(counts)
    hard = torch.rand(groups, generator=generator)[codes] * 3
    logits = torch.randn(len(codes), 4, generator=generator) * 2
    targets = torch.multinomial((logits / (0.3 + hard[:, None])).softmax(dim=1), 1, generator=generator)[:, 0]
    return logits.softmax(dim=1), targets, codes


def test_with_groups_the_promise_holds_in_a_new_group() -> None:
    held, alone = list[float](), list[float]()
    for seed in range(300):
        probabilities, targets, codes = grouped(seed, 21, 5)
        new = codes == int(torch.randint(21, (), generator=torch.Generator().manual_seed(seed)))
        for groups, into in ((codes[~new], held), (None, alone)):
            rule = fit_sets(probabilities[~new], targets[~new], 0.9, groups=groups)
            found = answer_sets(rule, probabilities[new], raw=True)
            into.append(float(found[torch.arange(int(new.sum())), targets[new]].double().mean()))
    assert 0.89 < sum(held) / 300 < 0.96
    assert sum(alone) / 300 < sum(held) / 300


def test_groups_weigh_the_same_whatever_their_size() -> None:
    scores = torch.cat([torch.zeros(1000), torch.arange(1, 10)]).double()
    groups = torch.cat([torch.zeros(1000), torch.arange(1, 10)]).long()
    assert threshold_of(Held(scores, groups), 0.9) == 9  # the last of ten groups; eleven with the new one
    assert threshold_of(Held(scores), 0.9) == 0
    assert threshold_of(Held(scores, torch.arange(1009)), 0.9) == threshold_of(Held(scores), 0.9)


def test_what_cannot_be_promised_is_said_with_what_is_needed() -> None:
    probabilities, targets = drawn(10, 0)
    with pytest.raises(TlearnError, match=r"0\.95 needs at least 19 held-out pictures, found 10; ask for 0\.9 or less"):
        fit_sets(probabilities, targets, 0.95)
    with pytest.raises(TlearnError, match="at least 9 held-out pictures of a class, found"):
        fit_sets(probabilities, targets, 0.9, by_class=True)
    with pytest.raises(TlearnError, match=r"at least 9 held-out groups, found 2; ask for 0\.66 or less"):
        fit_sets(probabilities, targets, 0.9, groups=torch.arange(10) % 2)
    with pytest.raises(TlearnError, match="at least 9 held-out pictures, found 0; hold out more"):
        fit_sets(probabilities[:0], targets[:0], 0.9)
    assert (fewest(0.9), fewest(0.95), fewest(0.99), fewest(0.5)) == (9, 19, 99, 1)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5, float("nan")])
def test_coverage_lies_between_zero_and_one(coverage: float) -> None:
    with pytest.raises(TlearnError, match="coverage: expected a share above 0 and below 1"):
        fit_sets(*drawn(30, 0), coverage)


def test_probabilities_must_be_finite() -> None:
    probabilities, targets = drawn(30, 0)
    rule = fit_sets(probabilities, targets, 0.9)
    probabilities[3, 1] = torch.nan
    for attempt in (lambda: fit_sets(probabilities, targets, 0.9), lambda: answer_sets(rule, probabilities)):
        with pytest.raises(TlearnError, match="expected finite probabilities; those of 1 of 30 pictures are not"):
            attempt()


@pytest.mark.parametrize("method", ["lac", "raps"])
def test_ties_one_picture_and_two_classes(method: Method) -> None:
    even = torch.full((40, 2), 0.5)
    rule = fit_sets(even, torch.arange(40) % 2, 0.9, method)
    assert answer_sets(rule, even).all()
    assert answer_sets(rule, even[:1]).tolist() == [[True, True]]
    assert fit_sets(torch.tensor([[0.7, 0.3]]), torch.tensor([1]), 0.5, method).mean_size == 2


def test_the_coverage_of_one_draw_spreads_as_was_said() -> None:
    low, high = coverage_spread(25, 0.9)
    shares = []
    for seed in range(300):
        probabilities, targets = drawn(2025, seed)
        found = answer_sets(fit_sets(probabilities[:25], targets[:25], 0.9), probabilities[25:], raw=True)
        shares.append(float(found[torch.arange(2000), targets[25:]].double().mean()))
    assert sum(low <= share <= high for share in shares) / 300 == pytest.approx(0.95, abs=0.04)
    assert coverage_spread(5, 0.9) == (1.0, 1.0)


def test_a_set_for_each_of_several_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    true_shares = torch.rand(3000, 3, generator=generator) ** torch.tensor([1.0, 6.0, 6.0])
    targets = torch.bernoulli(true_shares, generator=generator)
    targets[:, 2] = targets[:, 2].where(torch.arange(3000) < 5, torch.nan)  # known of five pictures
    given = true_shares**1.5
    rule = fit_label_sets(given, targets, 0.9)
    assert rule.always == (2,)
    found = label_sets(rule, given, raw=True)
    for label in (0, 1):
        held = found[:, label].gather(1, targets[:, label].long()[:, None])
        assert 0.9 <= float(held.double().mean()) < 0.92
    assert found[:, 2].all()
    assert label_sets(rule, given).any(dim=2).all()

    by_class = fit_label_sets(given, targets, 0.9, by_class=True)
    may_hold = label_sets(by_class, given)[..., 1]
    for label, missed in ((0, False), (1, True)):
        has = targets[:, label] == 1
        assert float(may_hold[has, label].double().mean()) >= 0.9
        if missed:  # a rare label: "no" nearly everywhere keeps the promise over all pictures
            assert float(label_sets(rule, given)[has, label, 1].double().mean()) < 0.9
    with pytest.raises(TlearnError, match="at least 9 held-out pictures of a label, found 5"):
        fit_label_sets(given[:5], targets[:5], 0.9)


def test_intervals_of_a_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2019, 2, generator=generator)
    targets = values + torch.randn(2019, 2, generator=generator) * torch.tensor([1.0, 10.0])
    rule = fit_intervals(values[:19], targets[:19], 0.9)
    errors = (values - targets)[:19].abs().sort(dim=0).values
    torch.testing.assert_close(rule.half_widths.float(), errors[17])
    low, high = intervals(rule, values[19:])
    assert low.dtype == torch.float32
    torch.testing.assert_close((high - low).mean(dim=0), errors[17] * 2)
    covered = ((low <= targets[19:]) & (targets[19:] <= high)).double().mean(dim=0)
    assert ((covered > 0.75) & (covered < 0.99)).all()
    targets[:15, 1] = torch.nan
    assert fit_intervals(values[:19], targets[:19], 0.9).half_widths[1] == math.inf
    assert fit_intervals(values[:18], targets[:18], 0.9, groups=torch.arange(18) // 2).groups == 9
    with pytest.raises(TlearnError, match=r"0\.99 needs at least 99 held-out pictures, found 19"):
        fit_intervals(values[:19], targets[:19], 0.99)
