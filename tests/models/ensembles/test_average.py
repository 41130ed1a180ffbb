"""Averages of answers against the same averages computed in probabilities."""

import pytest
import torch

from tlearn.models.ensembles.average import averaged_outputs


@pytest.mark.parametrize("count", [1, 2, 5])
def test_softmax_of_the_average_is_the_mean_probability(count: int) -> None:
    outputs = torch.randn(count, 7, 4, generator=torch.Generator().manual_seed(1)) * 5
    averaged = averaged_outputs("classification", outputs)
    assert averaged.shape == (7, 4)
    torch.testing.assert_close(averaged.softmax(dim=1), outputs.softmax(dim=2).mean(dim=0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(averaged.exp().sum(dim=1), torch.ones(7), rtol=1e-5, atol=1e-6)


def test_average_of_probabilities_is_not_that_of_logits() -> None:
    """One network that is very sure must not outvote two: 2/3 of the probability stays with the first class."""
    outputs = torch.tensor([[[2.0, 0.0]], [[2.0, 0.0]], [[0.0, 100.0]]])
    assert averaged_outputs("classification", outputs).softmax(dim=1)[0, 0] == pytest.approx(0.5872, abs=1e-4)
    assert outputs.mean(dim=0).softmax(dim=1)[0, 0] < 1e-10


def test_sigmoid_of_the_average_is_the_mean_probability_of_each_label() -> None:
    outputs = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1)) * 5
    averaged = averaged_outputs("multilabel", outputs)
    torch.testing.assert_close(averaged.sigmoid(), outputs.sigmoid().mean(dim=0), rtol=1e-5, atol=1e-6)


def test_values_are_averaged_as_they_are() -> None:
    averaged = averaged_outputs("regression", torch.tensor([[[1.0, 10.0]], [[2.0, 30.0]]]))
    assert averaged.tolist() == [[1.5, 20.0]]


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_extreme_logits_stay_finite_and_keep_their_order(task: str) -> None:
    outputs = torch.tensor([[[3e4, 0.0, -3e4]], [[2e4, 0.0, -2e4]]])
    averaged = averaged_outputs(task, outputs)  # type: ignore[arg-type]
    assert averaged.isfinite().all()
    assert averaged.argsort(descending=True).tolist() == [[0, 1, 2]]


def test_half_precision_is_averaged_in_float32_and_double_stays_double() -> None:
    assert averaged_outputs("classification", torch.zeros(2, 1, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert averaged_outputs("regression", torch.zeros(2, 1, 3, dtype=torch.float64)).dtype == torch.float64
