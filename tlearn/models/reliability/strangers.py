"""Strangers: how little a picture looks like the training pictures, by the features that the head sees.

Letters: M known pictures, N held-out ones, B asked ones, D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.models.reliability.neighbours import blocks, check_features, cosine_distances, unit_rows

STRANGER_SHARE = 0.95  # a picture is a stranger above it, so 95 % of pictures like the training's are none
LEAST_HELD_OUT = 20  # below, no share is above 0.95
_MOST_KNOWN = 4096  # more of them cost time at every picture, and change the order of no pair of sets by much
_NEIGHBOURS = 3
_SEED = 0


class StrangerDetector(nn.Module):
    """How strange pictures look; higher is stranger.

    The score is the cosine distance to the k-th nearest known picture (Sun et al., 2022, arXiv 2204.06507). It asks for
    no classes, so it serves several labels a picture and values too.

    Attributes:
        known: float16 (M, D), features of training pictures, scaled to length 1.
    """

    known: Tensor

    def __init__(self, known: Tensor) -> None:
        """Keep features that were scaled to length 1."""
        super().__init__()
        self.register_buffer("known", known.half())

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """Rebuild a detector from its `state_dict`."""
        return cls(state["known"])

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Turn features (B, D) and logits (B, K) into float32 scores (B,); any number of pictures at once."""
        distances = cosine_distances(features, self.known.float().T)
        return _kth(distances, min(_NEIGHBOURS, self.known.shape[0]))


def fit_detector(features: Tensor, targets: Tensor, logits: Tensor) -> StrangerDetector:
    """Fit a detector to training pictures.

    Args:
        features: (M, D), what the head sees, of any floating type.
        targets: Class numbers (M,), or labels or values (M, K). Of more than 4,096 pictures, classes keep equal parts.
        logits: (M, K).

    Raises:
        TlearnError: There are no pictures, or features are not finite.
    """
    _check(features, targets, logits)
    return StrangerDetector(unit_rows(features[_kept(targets)]))


@torch.no_grad()
def scores_of(detector: StrangerDetector, features: Tensor, logits: Tensor) -> Tensor:
    """Return the scores (B,) of many pictures, block by block.

    Args:
        detector: Has not seen them, if the scores shall be those of new pictures.
        features: (B, D).
        logits: (B, K).

    Raises:
        TlearnError: Features are not finite.
    """
    check_features("the features", features)
    sizes = len(detector.known)
    parts = zip(blocks(features, sizes), blocks(logits, sizes), strict=True)
    return torch.cat([features.new_empty(0, dtype=torch.float32), *(detector(*part) for part in parts)])


@torch.no_grad()
def held_out_scores(features: Tensor, targets: Tensor, logits: Tensor, groups: Tensor | None = None) -> Tensor:
    """Return the score of each training picture, float32 (N,), by a detector that has not seen it nor its group.

    Leaving a picture out of its neighbours costs nothing, so each is scored by all the others.

    Args:
        features: (N, D).
        targets: As for `fit_detector`.
        logits: (N, K), by a head that has not seen the picture.
        groups: int64 (N,), the group of each.

    Raises:
        TlearnError: Features are not finite, or there are no two pictures or groups.
    """
    _check(features, targets, logits)
    groups = torch.arange(len(features)) if groups is None else groups
    if len(groups.unique()) < 2:
        raise TlearnError("all training pictures are of one group; two or more are needed to hold one out")
    kept = _kept(targets)
    directions, known_groups, scores = unit_rows(features[kept]).half().float().T, groups[kept], list[Tensor]()
    for part, own in zip(blocks(features, len(kept)), blocks(groups, len(kept)), strict=True):
        distances = cosine_distances(part, directions)
        distances.masked_fill_(own[:, None] == known_groups, torch.inf)
        scores.append(_kth(distances, _NEIGHBOURS))
    return torch.cat(scores)


def stranger_share(scores: Tensor, held_out_scores: Tensor) -> Tensor:
    """Return the share of held-out pictures that look less strange, float32 (B,), 0 to 1; above 0.95 is a stranger.

    The picture itself counts among them, so with N held-out ones the largest share is N / (N + 1): 50 / 51 of 50. Those
    that look just as strange do not count as less strange. Then of new pictures of the same kind at most 5 % are
    strangers, whatever N (Vovk et al., 2005: conformal prediction); with fewer than 20, none is.

    Args:
        scores: (B,); one that is no number has the largest share.
        held_out_scores: (N,), see `held_out_scores`.

    Raises:
        TlearnError: Held-out scores are no numbers.
    """
    if held_out_scores.isnan().any():
        raise TlearnError("scores of held-out pictures are not finite; fit again")
    rows = torch.where(scores.isnan(), torch.inf, scores).double().contiguous()
    less_strange = torch.searchsorted(held_out_scores.double().sort().values, rows)
    return (less_strange.double() / (len(held_out_scores) + 1)).float()


def _check(features: Tensor, targets: Tensor, logits: Tensor) -> None:
    check_features("the features of training pictures", features)
    if not len(features) == len(targets) == len(logits) or not len(features):
        raise TlearnError(
            f"expected features, targets and logits of the same pictures, 1 or more; there are {len(features)}, "
            f"{len(targets)} and {len(logits)}"
        )


def _kept(targets: Tensor) -> Tensor:
    """Return the sorted rows of pictures to keep: all, or as many of each class as the most allow."""
    if len(targets) <= _MOST_KNOWN:
        return torch.arange(len(targets))
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(_SEED))
    if targets.ndim == 1 and not targets.is_floating_point():
        order = order[_place_in_class(targets[order]).argsort(stable=True)]
    return order[:_MOST_KNOWN].sort().values


def _place_in_class(classes: Tensor) -> Tensor:
    """Number the pictures of each class from 0, in their order."""
    order = classes.argsort(stable=True)
    counts = classes.bincount()
    starts = (counts.cumsum(0) - counts)[classes[order]]
    places = torch.empty_like(order)
    places[order] = torch.arange(len(classes)) - starts
    return places


def _kth(distances: Tensor, count: int) -> Tensor:
    """Return the count-th least of each row, (B,); with fewer that are finite, the largest of these."""
    least = distances.topk(min(count, distances.shape[1]), dim=1, largest=False).values
    return torch.where(least.isinf(), -torch.inf, least).amax(dim=1)
