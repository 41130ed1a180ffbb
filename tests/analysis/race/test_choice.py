"""The race ends with an average of two trained runs, unless validation shows a single one to be better."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tlearn.analysis.race.choice import Choice, Finisher, averages_of, choose
from tlearn.base.errors import TlearnError

TIMES_S = {"last": 9.0, "head": 2.0, "lp_ft_3e-4": 50.0, "lp_ft_1e-4": 48.0, "partial_3e-4": 30.0}


def logits_of(probabilities: list[float]) -> Tensor:
    """Make logits (N, 2) that give class 1 these probabilities."""
    ones = torch.tensor(probabilities)
    return torch.stack([1 - ones, ones], dim=1).log()


def choice_of(**probabilities: list[float]) -> Choice:
    """Choose among finishers, named as their members are, with these probabilities of the right class."""
    finishers = []
    for key, given in probabilities.items():
        members = tuple(MEMBERS[letter] for letter in key)
        time_s = sum(TIMES_S[member] for member in members)
        finishers.append(Finisher(" + ".join(members), members, len(members), time_s, logits_of(given)))
    return choose("classification", finishers, torch.ones(len(next(iter(probabilities.values()))), dtype=torch.long))


MEMBERS = {"l": "last", "h": "head", "a": "lp_ft_3e-4", "b": "lp_ft_1e-4", "p": "partial_3e-4"}


def more(losses: list[float], than: list[float]) -> list[float]:
    """Return the probabilities whose losses are so much more than those of others."""
    return [probability * math.exp(-loss) for probability, loss in zip(than, losses, strict=True)]


def test_a_single_run_within_the_error_does_not_replace_the_average() -> None:
    average = [0.6, 0.6, 0.6, 0.6]
    # Losses of the head less those of the average: 0.1, -0.5, 0.1, -0.1: mean -0.1, standard error 0.141.
    choice = choice_of(h=more([0.1, -0.5, 0.1, -0.1], average), a=[0.5] * 4, ab=average, ap=[0.55] * 4)
    assert choice.finisher.name == "lp_ft_3e-4 + lp_ft_1e-4"
    assert choice.reason == (
        "The mean of two networks' answers, the surest in our trials, is kept unless a single one is better beyond "
        "chance. lp_ft_3e-4 + lp_ft_1e-4 is that of the two trained runs with the least loss on 4 validation images, "
        "0.693; its own is 0.511. head has less, 0.411, but 4 validation images are too few to show that it is better: "
        "its loss minus that of the result is between -0.433 and 0.233 (90 % interval; 0 is no difference)."
    )
    assert [each.name for each in choice.differences] == ["head", "lp_ft_3e-4", "lp_ft_3e-4 + partial_3e-4"]
    assert choice.differences[0].loss == pytest.approx(-0.1, abs=1e-6)
    half = 2.35336 * 0.1414214  # Student's 95 % point at 3 degrees of freedom
    assert choice.differences[0].loss_interval == pytest.approx((-0.1 - half, -0.1 + half), abs=1e-4)


def test_a_single_run_that_is_better_beyond_noise_replaces_it() -> None:
    average = [0.6, 0.6, 0.6, 0.6]
    near = more([0.0, -0.4, -0.1, -0.1], average)  # mean -0.15, standard error 0.087: too little for four images
    assert choice_of(h=near, a=[0.5] * 4, ab=average).finisher.name == "lp_ft_3e-4 + lp_ft_1e-4"
    choice = choice_of(h=more([-0.1, -0.2, -0.1, -0.2], average), a=[0.5] * 4, ab=average)
    assert choice.finisher.name == "head"
    assert choice.reason == (
        "head has 0.150 less loss on 4 validation images than lp_ft_3e-4 + lp_ft_1e-4, beyond noise (90 % interval "
        "0.082 to 0.218), at 1 forward pass instead of 2."
    )
    low, high = choice.differences[1].score_interval
    assert low < 0 == choice.differences[1].score < high


def test_one_network_is_the_simplest_trained_one_within_the_error() -> None:
    tuned = [0.6, 0.6, 0.6, 0.6]
    within = more([-0.1, 0.5, -0.1, 0.1], tuned)  # mean 0.1, standard error 0.141
    choice = choice_of(h=[0.5, 0.6, 0.5, 0.6], a=tuned, p=within)
    assert choice.finisher.name == "partial_3e-4"
    assert choice.reason == (
        "partial_3e-4 is the simplest of the trained runs whose loss on 4 validation images is within one standard "
        "error of the least: 0.100 above that of lp_ft_3e-4, standard error 0.141."
    )
    worse = more([0.1, 0.3, 0.1, 0.1], tuned)
    assert choice_of(h=[0.5] * 4, a=tuned, p=worse).finisher.name == "lp_ft_3e-4"


def test_of_runs_that_take_as_long_the_first_is_taken() -> None:
    same = [0.6, 0.7, 0.8]
    assert choice_of(a=same, b=same).finisher.name == "lp_ft_3e-4"
    assert choice_of(b=same, a=same).finisher.name == "lp_ft_1e-4"
    assert choice_of(b=same, a=same, p=same).finisher.name == "partial_3e-4"


def test_heads_alone_are_chosen_by_loss() -> None:
    choice = choice_of(h=[0.6, 0.7, 0.8])
    assert (choice.finisher.name, choice.differences) == ("head", [])
    assert choice.reason == "head has a loss on 3 validation images of 0.364."


def test_what_diverged_is_left_out_and_said() -> None:
    broken = [math.nan] * 3
    choice = choice_of(a=broken, b=[0.6, 0.7, 0.8], ab=broken)
    assert choice.finisher.name == "lp_ft_1e-4"
    assert (choice.left_out, choice.differences) == (["lp_ft_3e-4", "lp_ft_3e-4 + lp_ft_1e-4"], [])
    with pytest.raises(TlearnError, match="found none of 1: all diverged; try lower learning rates"):
        choice_of(a=broken)


def test_a_single_image_proves_nothing() -> None:
    choice = choice_of(h=[0.9], a=[0.2], b=[0.1], ab=[0.15])
    assert choice.finisher.name == "lp_ft_3e-4 + lp_ft_1e-4"
    assert choice.reason.endswith("on 1 validation image is 1.897. head has less, 0.105, but one image shows nothing.")
    assert choice.differences[0].loss_interval == (-math.inf, math.inf)


def test_an_average_with_a_head_is_the_result_only_without_one_of_two_trained_runs() -> None:
    good, poor = [0.9, 0.9], [0.5, 0.5]
    assert choice_of(h=poor, a=poor, ha=good, ab=[0.6, 0.6]).finisher.name == "lp_ft_3e-4 + lp_ft_1e-4"
    assert choice_of(h=poor, a=poor, ha=good).finisher.name == "head + lp_ft_3e-4"


def test_the_average_is_of_the_two_that_are_the_best_alone_not_the_one_with_the_least_loss() -> None:
    choice = choice_of(a=[0.9, 0.7, 0.8], b=[0.7] * 3, p=[0.6] * 3, ab=[0.75] * 3, ap=[0.9] * 3, bp=[0.65] * 3)
    assert choice.finisher.name == "lp_ft_3e-4 + lp_ft_1e-4"
    assert "the two trained runs with the least loss on 3 validation images, 0.228 and 0.357; its own is 0.288. " in (
        choice.reason
    )
    assert "its loss minus that of the result is between -0.271 and 0.153 (90 % interval; " in choice.reason


def test_pairs_of_trained_members_are_offered() -> None:
    assert averages_of(["last", "head", "lp_ft_3e-4"]) == []
    assert averages_of(["head", "a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_of_two_heads_that_beat_all_the_one_with_less_loss_is_taken_though_the_other_was_quicker() -> None:
    best, average = [0.9, 0.9, 0.9], [0.5, 0.5, 0.5]
    assert choice_of(l=best, h=[0.8, 0.8, 0.8], a=average, ab=average).finisher.name == "last"
    assert choice_of(l=[0.8, 0.8, 0.8], h=best, a=average, ab=average).finisher.name == "head"


def test_small_losses_are_shown_with_the_decimals_that_they_need() -> None:
    average = [1 - 6e-4] * 4
    reason = choice_of(h=more([-5e-4, -4e-4, -5e-4, -4e-4], average), a=average, ab=average).reason
    assert reason.startswith("head has 0.00045 less loss on 4 validation images than lp_ft_3e-4 + lp_ft_1e-4, ")
    assert "(90 % interval 0.00038 to 0.00052)" in reason
    assert "within one standard error of the least: 0.500 above that of lp_ft_3e-4, standard error inf." in (
        choice_of(a=[0.8], p=more([0.5], [0.8])).reason
    )
