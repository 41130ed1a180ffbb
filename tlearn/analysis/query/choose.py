"""Choose which pictures to label next, and say why. N pictures, D features, R directions, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tlearn.analysis.query.clusters import Rows, compressed
from tlearn.analysis.query.doubtful import doubtful_pictures, margins_of
from tlearn.analysis.query.few_labels import FewHead, solve_few
from tlearn.analysis.query.typical import typical_pictures

UNLABELLED, LEFT_OUT = -1, -2  # never asked; asked, and no class of it is known
_START = 5  # labels a class: with fewer, on average, the head's doubt says little
_MOST = 20_000  # unlabelled pictures that are looked at: more take seconds and hold nothing new
_LOOK_DRAW = 0x1ABE1  # apart from other draws of the same seed


class Query(NamedTuple):
    """A picture to label next.

    Attributes:
        position: Of the picture, from 0 to N - 1.
        reason: ``typical`` of a cluster without a label, ``between`` two classes, or ``shown`` before.
        classes: The likeliest class and the second, by number; none before two classes have labels.
        probability: Of the likeliest.
    """

    position: int
    reason: Literal["typical", "between", "shown"]
    classes: tuple[int, ...] = ()
    probability: float | None = None

    def why(self, class_names: Sequence[str]) -> str:
        """Say why in words, for the names of the K classes."""
        if self.reason == "typical":
            return "typical of a cluster without a label"
        if self.reason == "shown":
            return "shown before, without an answer"
        return "between " + " and ".join(class_names[number] for number in self.classes)


def next_pictures(
    features: Tensor, labels: Tensor, count: int, num_classes: int, seed: int = 0, rows: Rows | None = None
) -> list[Query]:
    """Choose pictures whose labels would teach the most.

    As long as there are few labels, typical pictures of clusters without one (TypiClust); then pictures between two
    classes, no two of them alike. Both are the choice of `benchmarks/label`.

    Args:
        features: float32 (N, D), of a network that does not train.
        labels: int64 (N,): the class, `UNLABELLED`, or `LEFT_OUT` for one that was asked and has no class.
        count: How many are wanted; fewer come where fewer are unlabelled.
        num_classes: K, of those that are known so far, maybe none.
        seed: Of the draws.
        rows: `compressed` features, where they are at hand.

    Returns:
        The pictures, in the order in which to ask.
    """
    seen = _looked_at(labels, seed)
    is_asked = (labels[seen] != UNLABELLED).numpy()
    count = min(count, int((~is_asked).sum()))
    if not count:
        return []
    part = (compressed(features) if rows is None else rows)[seen.numpy()]
    head = _head(features, labels, num_classes)
    labelled = int((labels >= 0).sum())
    if head is None or labelled < _START * num_classes:
        chosen = typical_pictures(part, is_asked, count, seed)
        return _queries(seen[torch.tensor(chosen)], "typical", features, head)
    margins = margins_of(head.probabilities(features[seen]))
    chosen = doubtful_pictures(part, margins, ~is_asked, count, seed)
    return _queries(seen[torch.tensor(chosen)], "between", features, head)


def _looked_at(labels: Tensor, seed: int) -> Tensor:
    """Return positions of all pictures that were asked about, and of so many others."""
    is_open = labels == UNLABELLED
    if int(is_open.sum()) <= _MOST:
        return torch.arange(len(labels))
    draws = torch.Generator().manual_seed(seed ^ _LOOK_DRAW)
    places = is_open.nonzero().flatten()
    kept = places[torch.randperm(len(places), generator=draws)[:_MOST]]
    return torch.cat([kept, (~is_open).nonzero().flatten()]).sort().values


def _head(features: Tensor, labels: Tensor, num_classes: int) -> FewHead | None:
    known = labels >= 0
    if len(labels[known].unique()) < 2:
        return None
    return solve_few(features[known], labels[known], num_classes)


def _queries(
    places: Tensor, reason: Literal["typical", "between"], features: Tensor, head: FewHead | None
) -> list[Query]:
    if head is None:
        return [Query(place, reason) for place in places.tolist()]
    found = head.probabilities(features[places]).topk(2, dim=1)
    return [
        Query(place, reason, tuple(classes), float(shares[0]))
        for place, classes, shares in zip(places.tolist(), found.indices.tolist(), found.values, strict=True)
    ]
