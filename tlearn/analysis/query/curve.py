"""The learning curve of pictures that are labelled one after another, and what more labels would be worth.

Letters: N pictures, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.analysis.learning_curve import CurvePoint, expected_gains
from tlearn.analysis.query.estimate import Estimate, Z, estimated_score
from tlearn.analysis.query.few_labels import solve_few

_FEWEST = 10  # labels of a point
_STEPS = ((50, 10), (200, 25), (1000, 50))  # up to so many labels a point each so many
_LAST_STEP = 100
_MOST_ASKED = 5_000  # pictures of the pool that an estimate looks at
_LITTLE = 0.005  # half a point, as people call little


class ScorePoint(NamedTuple):
    """The score that so many labels reach by the head's own estimate, 0 to 1, with the ends of its interval."""

    labels: int
    score: float
    low: float
    high: float


class Outlook(NamedTuple):
    """What more labels are worth: in words, and the expected score by number of labels."""

    text: str
    points: list[tuple[int, float]]


class LabelCurve:
    """The score after the first labels, after some more, and so on; what was worked out is kept.

    Args:
        features: float32 (N, D), of all pictures.
    """

    def __init__(self, features: Tensor) -> None:
        self._features = features
        self._known = dict[tuple[int, int], Estimate | None]()

    def points(self, order: Sequence[int], labels: Tensor, given: int, num_classes: int) -> list[ScorePoint]:
        """Return the points of the curve.

        Args:
            order: The labelled pictures, in the order in which they were labelled.
            labels: int64 (N,), -1 for those without a label and -2 for those that have no class.
            given: How many of them had a label before; the curve begins there.
            num_classes: K.
        """
        codes = [(row, int(labels[row])) for row in order]
        points = list[ScorePoint]()
        for count in _sizes(given, len(order)):
            key = (count, hash(tuple(codes[:count])))
            if key not in self._known:
                self._known[key] = self._estimate(list(order[:count]), labels, num_classes)
            if (found := self._known[key]) is not None:
                points.append(ScorePoint(count, *found))
        return points

    def _estimate(self, rows: list[int], labels: Tensor, num_classes: int) -> Estimate | None:
        own = labels[rows]
        if int((torch.bincount(own, minlength=num_classes) > 1).sum()) < 2:  # a class of one is never answered
            return None
        rest = labels != -2
        rest[rows] = False
        asked = rest.nonzero().flatten()
        drawn = torch.randperm(len(asked), generator=torch.Generator().manual_seed(0))[:_MOST_ASKED]
        head = solve_few(self._features[rows], own, num_classes)
        return estimated_score(head.unseen, head.logits(self._features[asked[drawn]])) if len(asked) else None


def outlook(points: Sequence[ScorePoint], more: int) -> Outlook:
    """Say what more labels are worth by the curve so far, up to twice as many as there are.

    Args:
        points: The curve.
        more: How many are labelled at a time.
    """
    curve = [CurvePoint(each.labels, 1 - each.score, (each.high - each.low) / (2 * Z)) for each in points]
    last = points[-1] if points else ScorePoint(0, 0.0, 0.0, 0.0)
    sizes = range(last.labels + more, 2 * last.labels + 1, more)
    gains = expected_gains(curve, sizes) if sizes else []
    if not gains:
        return Outlook("too early to say what more labels are worth", [])
    # Without its interval: in `benchmarks/label` one of 90 % held in 60 % of rounds on CIFAR-10, and less elsewhere.
    text = f"{more} more labels are worth about {100 * gains[0].gain:+.1f} points"
    for each, following in pairwise(gains):
        if following.gain - each.gain < _LITTLE:
            text += f"; beyond {each.images} another {more} bring less than half a point"
            break
    return Outlook(text, [(each.images, min(1.0, last.score + each.gain)) for each in gains])


def _sizes(given: int, labelled: int) -> list[int]:
    """Return the numbers of labels at which the curve has a point, the present one the last."""
    sizes, count = [given] if given else list[int](), 0
    while True:
        count += next((step for end, step in _STEPS if count < end), _LAST_STEP)
        if given + count >= labelled:
            break
        sizes.append(given + count)
    return [size for size in [*sizes, *([labelled] if labelled > given else [])] if size >= _FEWEST]
