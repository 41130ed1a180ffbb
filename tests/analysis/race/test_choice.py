"""The race ends with the simplest that validation cannot tell from the best."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tlearn.analysis.race.choice import Choice, Finisher, choose
from tlearn.analysis.race.paired import image_losses, image_scores, paired_interval, standard_error
from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.models.losses import compute_loss


def logits_of(probabilities: list[float]) -> Tensor:
    """Make logits (N, 2) that give class 1 these probabilities."""
    ones = torch.tensor(probabilities)
    return torch.stack([1 - ones, ones], dim=1).log()


def chosen(task: Task, targets: Tensor, **outputs: Tensor) -> Choice:
    """Choose among runs, the first of which is the simplest."""
    finishers = [
        Finisher(name, (name,), passes=1 + place // 2, time_s=10.0 + place, outputs=given)
        for place, (name, given) in enumerate(outputs.items())
    ]
    return choose(task, finishers, targets)


def test_the_simplest_within_a_standard_error_is_chosen() -> None:
    targets = torch.ones(4, dtype=torch.long)
    # Losses of the head less those of the tuned: -0.1, 0.5, -0.1, 0.1: mean 0.1, standard error 0.141.
    tuned = torch.tensor([0.5, 0.5, 0.5, 0.5])
    more = torch.tensor([-0.1, 0.5, -0.1, 0.1])
    choice = chosen(
        "classification",
        targets,
        head=logits_of((tuned * torch.exp(-more)).tolist()),
        tuned=logits_of(tuned.tolist()),
    )
    assert choice.finisher.name == "head"
    assert choice.reason == (
        "tuned has the least loss on 4 validation images, 0.693; head has 0.100 more, less than its standard error of "
        "0.141, and is simpler: 10 s instead of 11 s."
    )
    (difference,) = choice.differences
    assert difference.name == "tuned"
    assert difference.loss == pytest.approx(-0.1, abs=1e-6)
    half = 2.35336 * 0.1414214  # Student's 95 % point at 3 degrees of freedom
    assert difference.loss_interval == pytest.approx((-0.1 - half, -0.1 + half), abs=1e-4)


def test_what_is_worse_by_more_than_its_error_is_not_chosen() -> None:
    targets = torch.ones(4, dtype=torch.long)
    head, tuned = logits_of([0.5, 0.45, 0.55, 0.5]), logits_of([0.9, 0.85, 0.8, 0.9])
    choice = chosen("classification", targets, head=head, tuned=tuned)
    assert choice.finisher.name == "tuned"
    assert choice.reason.startswith("tuned has the least loss on 4 validation images, 0.149, and nothing simpler")
    assert choice.differences[0].loss > 0
    low, high = choice.differences[0].score_interval
    assert low < choice.differences[0].score < high < 1


def test_fewer_passes_come_before_less_time() -> None:
    targets = torch.ones(3, dtype=torch.long)
    same = logits_of([0.6, 0.7, 0.8])
    both = Finisher("both", ("a", "b"), passes=2, time_s=1.0, outputs=same)
    one = Finisher("one", ("one",), passes=1, time_s=99.0, outputs=same)
    assert choose("classification", [both, one], targets).finisher is one


def test_what_diverged_is_left_out_and_said() -> None:
    targets = torch.ones(3, dtype=torch.long)
    choice = chosen("classification", targets, broken=torch.full((3, 2), math.nan), sound=logits_of([0.6, 0.7, 0.8]))
    assert (choice.finisher.name, choice.left_out, choice.differences) == ("sound", ["broken"], [])
    with pytest.raises(TlearnError, match="found none of 1: all diverged"):
        chosen("classification", targets, broken=torch.full((3, 2), math.nan))


def test_a_single_image_decides_nothing() -> None:
    choice = chosen("classification", torch.ones(1, dtype=torch.long), head=logits_of([0.1]), tuned=logits_of([0.9]))
    assert choice.finisher.name == "head"
    assert "one image has no error to go by" in choice.reason
    assert choice.differences[0].loss_interval == (-math.inf, math.inf)


def test_losses_of_images_average_to_the_loss_of_the_task() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, 3, generator=generator)
    classes, values = torch.tensor([0, 2, 1, 1, 0, 2]), torch.randn(6, 3, generator=generator)
    assert image_losses("classification", outputs, classes).mean() == pytest.approx(
        float(compute_loss("classification", outputs, classes))
    )
    assert image_losses("regression", outputs, values).mean() == pytest.approx(
        float(compute_loss("regression", outputs, values))
    )
    known = (values > 0).float()
    assert image_losses("multilabel", outputs, known).mean() == pytest.approx(
        float(compute_loss("multilabel", outputs, known))
    )


def test_unknown_labels_and_values_are_scored() -> None:
    labels = torch.tensor([[1.0, math.nan, 0.0], [math.nan, math.nan, math.nan]])
    outputs = torch.tensor([[2.0, 5.0, 1.0], [1.0, 1.0, 1.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.e)) / 2
    assert image_losses("multilabel", outputs, labels).tolist() == pytest.approx([expected, 0.0])
    assert image_scores("multilabel", outputs, labels).tolist() == [0.5, 0.0]
    assert image_scores("regression", torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 4.0])).tolist() == [-1.0, 0.0]


def test_right_and_wrong_have_the_interval_of_agresti_and_min() -> None:
    # 8 of 100 gained, 2 lost: (8.5 - 2.5) / 102 and 1.645 * sqrt(11 - 36 / 102) / 102.
    differences = torch.tensor([1.0] * 8 + [-1.0] * 2 + [0.0] * 90)
    assert paired_interval(differences) == pytest.approx((0.058824 - 0.052621, 0.058824 + 0.052621), abs=1e-5)
    low, high = paired_interval(torch.zeros(12))  # none differs: still not sure
    assert low == -high < -0.1
    assert standard_error(torch.tensor([1.0, 3.0])) == pytest.approx(1.0)
