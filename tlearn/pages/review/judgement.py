"""What heads say of the labels as they stand: order, proposals, score. N pictures, K classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.analysis.doubt.answers import UNKNOWN, Answers, Head
from tlearn.base.intervals import grouped_interval, share_interval
from tlearn.pages.review.json_types import Score

_LIKELY = 0.5


class Judgement(NamedTuple):
    """One solution, which stays the same once it is made.

    Attributes:
        version: Counts the solutions from 1.
        labels: int64 (N,), what was solved on; `UNKNOWN` for pictures that teach nothing.
        answers: What the heads say.
        order: int64 (N,), the pictures, the most doubtful first; those without an answer come last.
        score: Shares of right answers out of fold.
    """

    version: int
    labels: Tensor
    answers: Answers
    order: Tensor
    score: Score


def judge(
    head: Head, labels: Tensor, num_classes: int, groups: Tensor | None, settled: Tensor, version: int
) -> Judgement:
    """Solve heads on labels, int64 (N,), and say what follows.

    Args:
        head: Knows the features.
        labels: As decided.
        num_classes: K, with those that decisions have made.
        groups: int64 (N,), for the interval; ``None`` without groups.
        settled: bool (N,), labels that somebody has decided, which `Score` never takes for wrong.
        version: Of this solution.
    """
    answers = head.answers(labels, num_classes)
    likely = (answers.wrong > _LIKELY) & ~settled  # NaN is not
    better = labels.where(~likely, answers.proposals)
    would_be = head.outputs(better, num_classes, head.strength) if bool(likely.any()) else answers.probabilities
    order = answers.doubt.nan_to_num(nan=-1.0).argsort(descending=True, stable=True)
    return Judgement(version, labels, answers, order, _score(answers, labels, groups, _share_right(would_be, better)))


def _score(answers: Answers, labels: Tensor, groups: Tensor | None, would_be: float) -> Score:
    there = (answers.proposals != UNKNOWN) & (labels != UNKNOWN)
    right = (answers.proposals == labels)[there]
    count = int(there.sum())
    if not count:
        return Score(now=None, low=None, high=None, would_be=None)
    ends = share_interval(float(right.sum()), count)
    if groups is not None:
        ends = grouped_interval(right.double().numpy(), groups[there].numpy()) or ends
    return Score(now=float(right.double().mean()), low=ends[0], high=ends[1], would_be=would_be)


def _share_right(outputs: Tensor, labels: Tensor) -> float:
    there = ~outputs.isnan().any(dim=1) & (labels != UNKNOWN)
    return float((outputs.argmax(dim=1) == labels)[there].double().mean()) if bool(there.any()) else 0.0


def still_wrong(judgement: Judgement, settled: Tensor) -> int:
    """Estimate how many labels that nobody has decided on are wrong: the sum of their probabilities to be."""
    return round(float(torch.nansum(judgement.answers.wrong[~settled])))
