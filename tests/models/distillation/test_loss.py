"""What a teacher adds to the loss, against the same numbers computed in probabilities."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.calibration import Calibration
from tlearn.models.distillation.loss import calibrated_logits, teacher_loss
from tlearn.models.losses import answers_of


def test_two_classes_by_hand() -> None:
    """Teacher 3/4 and 1/4, student a half each, at temperature 1: 0.75 ln 1.5 + 0.25 ln 0.5."""
    taught, output = torch.tensor([[0.75, 0.25]]).log(), torch.zeros(1, 2)
    assert teacher_loss("classification", output, taught, 1.0).item() == pytest.approx(0.130812, abs=1e-6)
    # At 2 the teacher says sqrt(3) to 1; times 4.
    assert teacher_loss("classification", output, taught, 2.0).item() == pytest.approx(0.145363, abs=1e-6)


def test_labels_are_two_outcomes_each_and_values_have_no_temperature() -> None:
    taught, output = torch.tensor([[0.75, 0.5]]).logit(), torch.zeros(1, 2)
    assert teacher_loss("multilabel", output, taught, 1.0).item() == pytest.approx(0.130812 / 2, abs=1e-6)
    values = teacher_loss("regression", torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [5.0]]), 7.0)
    assert values.item() == pytest.approx(4.5)


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_the_gradient_keeps_its_size_at_high_temperatures(task: Task) -> None:
    """Hinton et al. multiply by the square of the temperature; without it the gradient would be 1/10,000."""
    draws = torch.Generator().manual_seed(0)
    output, taught = (torch.randn(8, 5, generator=draws) for _ in range(2))
    sizes = []
    for temperature in (10.0, 100.0):
        leaf = output.clone().requires_grad_()
        teacher_loss(task, leaf, taught, temperature).backward()
        sizes.append(float(cast(Tensor, leaf.grad).norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_what_teaches_is_the_calibrated_answer(task: Task, share: float) -> None:
    output = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 9
    calibration = Calibration(temperature=2.5, uniform_share=share)
    logits = calibrated_logits(task, output, calibration)
    answer: Any = logits.sigmoid() if task == "multilabel" else logits.softmax(dim=1)
    torch.testing.assert_close(answer, answers_of(task, output, calibration), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_extreme_answers_stay_finite(task: Task) -> None:
    taught = calibrated_logits(task, torch.tensor([[3e4, -3e4, 0.0]]), Calibration())
    assert teacher_loss(task, torch.tensor([[-3e4, 3e4, 0.0]]), taught, 1.0).isfinite()
    assert teacher_loss(task, taught, taught, 1.0).item() == pytest.approx(0, abs=1e-6)
