"""Singles, soups and ensemble beside each other on the same images, and which is kept. Letters: N images, G groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
import torch

from tlearn.analysis.race.paired import standard_error as error_of_images
from tlearn.analysis.ranking import Groups, Scores, holm, interval_of, p_value_of

Kind = Literal["single", "soup", "greedy", "ensemble"]
# The simplest first: a soup costs one forward pass as a single network does, an ensemble one for each member.
KINDS: tuple[Kind, ...] = ("single", "soup", "greedy", "ensemble")


@dataclass(frozen=True)
class Candidate:
    """One thing that could be kept, and what it answers to the images of a split.

    Attributes:
        name: As the table shows it.
        kind: A run as it is, the mean of all weights, that of those that a greedy choice takes, or the mean of
            probabilities.
        members: Names of the runs in it.
        losses: The loss of each image, float64 (N,).
        scores: The score of each image, float64 (N,): 1 for right and 0 for wrong, an F1 or an absolute error.
    """

    name: str
    kind: Kind
    members: tuple[str, ...]
    losses: Scores
    scores: Scores

    @property
    def passes(self) -> int:
        """Count the forward passes that an answer costs."""
        return len(self.members) if self.kind == "ensemble" else 1

    @property
    def loss(self) -> float:
        """Return the mean loss."""
        return float(self.losses.mean())

    @property
    def score(self) -> float:
        """Return the mean score."""
        return float(self.scores.mean())


@dataclass(frozen=True)
class Judged:
    """A candidate beside the best single run.

    Attributes:
        candidate: The candidate.
        interval: 95 % confidence interval of its mean score; ``None`` where all images score alike.
        difference: Its mean score less that of the best single run; ``None`` for a single run.
        p_value: The probability of such a difference by chance, corrected for the number of tests (Holm, 1979);
            ``None`` likewise.
    """

    candidate: Candidate
    interval: tuple[float, float] | None
    difference: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept.

    Attributes:
        candidate: The candidate.
        least: The one with the least loss.
        difference: The mean loss of the candidate less that of the least.
        standard_error: Of that difference, over images.
    """

    candidate: Candidate
    least: Candidate
    difference: float
    standard_error: float


def judged(candidates: Sequence[Candidate], groups: Groups | None = None) -> list[Judged]:
    """Test everything that is made of several runs against the best single run, on the same images.

    Args:
        candidates: The best single run first.
        groups: (N,), the group of each image; images of a group are not independent.
    """
    best = candidates[0].scores[None]
    tested = [each for each in candidates if each.kind != "single"]
    p_values = holm([p_value_of(each.scores[None], best, groups) for each in tested])
    found = dict(zip((each.name for each in tested), p_values, strict=True))
    return [
        Judged(
            *(each, interval_of(each.scores[None], groups)),
            *((each.score - candidates[0].score, found[each.name]) if each.name in found else (None, None)),
        )
        for each in candidates
    ]


def kept_of(candidates: Sequence[Candidate], groups: Groups | None = None) -> Kept:
    """Choose the simplest whose loss is within one standard error of the least (Breiman et al., 1984).

    The error is that of the paired difference of the losses of the same images. Of equally simple ones the least loss
    decides.
    """
    least = min(candidates, key=lambda each: each.loss)
    compared = [compared_with(each, least, groups) for each in candidates]
    near = [each for each in compared if each.difference <= each.standard_error]
    return min(near, key=lambda each: (KINDS.index(each.candidate.kind), each.candidate.loss))


def compared_with(candidate: Candidate, least: Candidate, groups: Groups | None = None) -> Kept:
    """Compare the losses of a candidate with the least ones, image by image."""
    paired = candidate.losses - least.losses
    return Kept(candidate, least, float(paired.mean()), standard_error(paired, groups))


def standard_error(values: Scores, groups: Groups | None = None) -> float:
    """Return the standard error of the mean of (N,); with groups that over whole groups. Infinite for a single one."""
    if groups is None:
        return error_of_images(torch.from_numpy(values))
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=values - values.mean())
    if len(sums) < 2:
        return inf
    return float(np.sqrt(len(sums) / (len(sums) - 1) * np.square(sums).sum()) / len(values))
