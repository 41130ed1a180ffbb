"""Scores of doubt: how little an answer out of fold agrees with a label. Letters: N pictures, K classes."""

from __future__ import annotations

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError


def self_confidence(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the doubt of each label: 1 less the probability of the label (Northcutt, Jiang and Chuang, 2021).

    Args:
        probabilities: Of heads that have not seen the picture, float (N, K); a row of NaN where there is no answer.
        labels: int64 (N,).

    Returns:
        (N,), 0 for a label that is certain, 1 for one that is impossible; NaN without an answer.

    Raises:
        TlearnError: The shapes do not belong together, or a label is none of the classes.
    """
    return (1 - _own(probabilities, labels)).clamp(0, 1)


def normalised_margin(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the doubt of each label by the lead of the most probable other class, brought to 0 to 1.

    It is ``(1 - (p(label) - p(other))) / 2`` (Northcutt, Jiang and Chuang, 2021): 1/2 where the two are alike.

    Args:
        probabilities: See `self_confidence`; of two classes or more.
        labels: int64 (N,).

    Returns:
        (N,), 0 to 1, higher for more doubt; NaN without an answer.

    Raises:
        TlearnError: See `self_confidence`; or there is one class.
    """
    own = _own(probabilities, labels)
    if probabilities.shape[1] < 2:
        raise TlearnError("a margin needs two classes or more, got one")
    others = probabilities.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return ((1 - (own - others)) / 2).clamp(0, 1)


def _own(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the probability of each label, (N,)."""
    if probabilities.ndim != 2 or labels.shape != (len(probabilities),):
        raise TlearnError(
            f"expected probabilities (N, K) and labels (N,), got {tuple(probabilities.shape)} and {tuple(labels.shape)}"
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < probabilities.shape[1]:
        raise TlearnError(f"expected labels from 0 to {probabilities.shape[1] - 1}, got {int(labels.max())}")
    return probabilities.gather(1, labels[:, None])[:, 0]
