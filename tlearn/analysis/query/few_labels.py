"""Solve a head on the few pictures that have a label so far, and answer for each without it.

Letters: N pictures with a label, D features, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.training.strategies.head_solver import STRENGTHS, best_factor, ridge_path, turn
from tlearn.training.strategies.left_out import folds_of, left_out_at

_FIRM = 0.1  # the penalty where nothing can be left out to choose one
_USUAL_FACTOR = 5.0  # likewise: of the outputs, which are shares of the classes


class FewHead(NamedTuple):
    """A linear layer for features (..., D), and what it answers for pictures that it has not seen.

    Attributes:
        weight: (K, D).
        bias: (K,).
        unseen: float32 (N, K), for each picture the logits of a layer that was solved without it.
    """

    weight: Tensor
    bias: Tensor
    unseen: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Return float32 logits (M, K) for features (M, D)."""
        return features @ self.weight.T + self.bias

    def probabilities(self, features: Tensor) -> Tensor:
        """Return float32 probabilities (M, K) for features (M, D)."""
        return self.logits(features).softmax(dim=1)


def solve_few(features: Tensor, labels: Tensor, num_classes: int) -> FewHead:
    """Solve ridge regression on one-hot classes; the penalty is the best for pictures left out.

    Logistic regression would be solved again for each fold, which takes seconds after each answer; ridge regression
    leaves out in closed form.

    Args:
        features: float32 (N, D).
        labels: int64 (N,), from 0 to K - 1.
        num_classes: K.
    """
    turned, wanted = turn(features, torch.ones(len(features))), F.one_hot(labels, num_classes).float()
    folds = folds_of("classification", labels, num_classes)
    best, unseen = _FIRM, wanted.mean(dim=0).expand_as(wanted).clone()
    least = torch.inf
    if len(folds) > 1:
        for strength in STRENGTHS:
            outputs = left_out_at(turned, wanted, folds, strength)
            error = float((outputs - wanted).square().sum())
            if error < least:  # never where it is NaN
                best, least, unseen = strength, error, outputs
    factor = best_factor(unseen, labels) if least < torch.inf else _USUAL_FACTOR
    _, weight, bias = next(layer for layer in ridge_path(turned, wanted) if layer[0] == best)
    weight, bias = turned.back(weight, bias)
    return FewHead(weight * factor, bias * factor, unseen * factor)
