"""How far probabilities are from how often they come true: the expected calibration error. N images, K classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of

BINS = 15  # as in Guo et al., 2017


class Reliability(NamedTuple):
    """Probabilities against how often they come true, in `BINS` bins of equal width; (BINS,) each, NaN where empty.

    Attributes:
        counts: Answers in the bin.
        confidence: Mean probability.
        accuracy: Share of right ones.
        ece: Expected calibration error: mean distance of the two, weighted by count (Naeini et al., 2015).
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor
    ece: float


def reliability_of(task: Task, logits: Tensor, targets: Tensor, calibration: Calibration) -> Reliability:
    """Bin the probability of the predicted class, or of every label where an image may have several.

    The sums are float64: torchmetrics' `CalibrationError` adds up float32, which gives other last digits.

    Args:
        task: One class an image, or several labels; a regression has no probabilities.
        logits: (N, K).
        targets: Class numbers (N,); 0 and 1 (N, K) for several labels, NaN where it is unknown.
        calibration: What turns logits into probabilities.
    """
    given = answers_of(task, logits, calibration)
    if task == "multilabel":
        known = ~targets.isnan()
        confidence, right = given[known], targets[known]
    else:
        confidence, predicted = given.max(dim=1)
        right = predicted == targets
    bins = (confidence * BINS).nan_to_num(0).long().clamp(0, BINS - 1)  # after a loss that is no number
    count, confident, hits = (
        torch.bincount(bins, weights=weights.double(), minlength=BINS)
        for weights in (torch.ones_like(confidence), confidence, right)
    )
    ece = float((confident - hits).abs().sum() / count.sum().clamp_min(1))
    return Reliability(count.long(), confident / count, hits / count, ece)
