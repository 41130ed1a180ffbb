"""Losses and scores of single images, and the intervals of paired differences."""

from __future__ import annotations

import math

import pytest
import torch

from tlearn.analysis.race.paired import image_losses, image_scores, paired_interval, standard_error
from tlearn.models.losses import compute_loss


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
