"""The doubt of a label is what cleanlab's scores say, turned round, and refuses what does not belong together."""

from __future__ import annotations

import pytest
import torch

from tlearn import TlearnError
from tlearn.analysis.doubt.scores import normalised_margin, self_confidence

SHARES = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]])
LABELS = torch.tensor([0, 1, 0, 2])


def test_self_confidence_is_what_the_label_lacks() -> None:
    assert self_confidence(SHARES, LABELS).tolist() == pytest.approx([0.3, 0.8, 1.0, 0.75])


def test_the_margin_is_half_where_the_label_and_the_best_other_are_alike() -> None:
    # cleanlab 2.9 gives 1 less these for method="normalized_margin"
    assert normalised_margin(SHARES, LABELS).tolist() == pytest.approx([0.25, 0.75, 1.0, 0.625])
    assert normalised_margin(torch.tensor([[0.5, 0.5]]), torch.tensor([1])).tolist() == [0.5]


def test_where_no_head_answers_there_is_no_doubt_to_tell() -> None:
    nothing = torch.full((1, 2), torch.nan)
    for score in (self_confidence, normalised_margin):
        assert score(nothing, torch.tensor([0])).isnan().all()


@pytest.mark.parametrize(
    ("shares", "labels", "said"),
    [
        (SHARES, LABELS[:2], r"expected probabilities \(N, K\) and labels \(N,\), got \(4, 3\) and \(2,\)"),
        (SHARES, torch.tensor([0, 1, 3, 0]), "expected labels from 0 to 2, got 3"),
        (SHARES[:, :1], torch.zeros(4, dtype=torch.long), "a margin needs two classes or more"),
    ],
)
def test_what_does_not_belong_together_is_refused(shares: torch.Tensor, labels: torch.Tensor, said: str) -> None:
    with pytest.raises(TlearnError, match=said):
        normalised_margin(shares, labels)
