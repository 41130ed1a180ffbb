"""Expect how many answers are right where nobody has labels, from how sure they are. N held-out, B new pictures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.types import LABEL_THRESHOLD, Task

METHOD = "difference of confidences"
_Z = 1.959964  # the normal distribution's 97.5 % point
_PRIOR = 2.0  # pictures of which one is wrong: else 20 right answers of 20 would leave no doubt


class Expected(NamedTuple):
    """A share of right answers that is expected, not measured.

    Attributes:
        share: Expected of the new pictures; of several labels a picture, the share of labels that are right.
        low: Lower end of the interval.
        high: Upper end.
        before: Share that held-out pictures reached.
        confidence_before: Mean confidence in the answers for held-out pictures.
        confidence_after: The same of new pictures.
    """

    share: float
    low: float
    high: float
    before: float
    confidence_before: float
    confidence_after: float


def confidence_of(task: Task, probabilities: Tensor) -> Tensor:
    """Return how sure the answers are, (B,): the largest probability, or the mean over labels of the surer side."""
    if task == "multilabel":
        return torch.maximum(probabilities, 1 - probabilities).mean(dim=1)
    return probabilities.amax(dim=1)


def right_of(task: Task, probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return which answers are right, float (N,); of several labels, the share of those that are known."""
    if task == "multilabel":
        is_right = ((probabilities >= LABEL_THRESHOLD) == (targets > 0.5)).float()
        return torch.where(targets.isnan(), torch.nan, is_right).nanmean(dim=1)
    classes = targets if targets.ndim == 1 else targets.argmax(dim=1)
    return (probabilities.argmax(dim=1) == classes).float()


def expected_accuracy(confidence: Tensor, right: Tensor, new: Tensor, strangers: float = 0.0) -> Expected:
    """Expect of new pictures what held-out ones reached, less by what confidence fell (Guillory et al., 2021).

    The interval holds three doubts: how many pictures were held out; how few the new ones are; and, towards lower
    values only, what confidence cannot know. A network may be sure and wrong of pictures that it has never seen the
    like of: so the lower end takes every stranger more than usual as wrong, and the fall of confidence twice, for
    accuracy falls by more than confidence does (Guillory et al., 2021, arXiv 2107.03315; Garg et al., 2022).

    Args:
        confidence: Of held-out answers, calibrated, (N,).
        right: Which of them are right, (N,), 0 to 1.
        new: Confidence of new answers, (B,).
        strangers: Share of the new pictures that look like no training picture, beyond the usual 5 %.
    """
    known = right.isfinite()
    confidence, right, new = confidence[known].double(), right[known].double(), new.double()
    before, sure, surer = float(right.mean()), float(confidence.mean()), float(new.mean())
    share = min(max(before + surer - sure, 0.0), 1.0)
    held, count = len(right), len(new)
    smoothed = (held * before + _PRIOR / 2) / (held + _PRIOR)
    of_held_out = float((right - confidence).var(correction=0)) / held + smoothed * (1 - smoothed) / (held + _PRIOR) / 4
    chance = (count * share + _PRIOR / 2) / (count + _PRIOR)
    half = _Z * (of_held_out + chance * (1 - chance) / count) ** 0.5
    unknown = max(sure - surer, 0.0) + max(strangers, 0.0)
    return Expected(share, max(share - half - unknown, 0.0), min(share + half, 1.0), before, sure, surer)
