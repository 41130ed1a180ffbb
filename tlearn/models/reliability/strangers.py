"""Strangers: how little a picture looks like the training pictures, by the features that the head sees.

Letters: M known pictures, N held-out ones, B asked ones, D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.models.reliability.gaussian import Gaussian, fit_gaussian, held_out_distances
from tlearn.models.reliability.neighbours import blocks, check_features, unit_rows

STRANGER_SHARE = 0.95  # a picture is a stranger above it, so 95 % of pictures like the training's are none
LEAST_HELD_OUT = 20  # below, no share is above 0.95
# What a standard deviation of the energy counts, in those of the distance: 1 finds other classes of the same kind of
# picture better, and pictures of another kind worse (benchmarks/believe/strangers.csv).
_ENERGY = 0.5
_LEAST_DEVIATION = 1e-6


class StrangerDetector(nn.Module):
    """How strange pictures look; higher is stranger.

    The score is the squared Mahalanobis distance of the features, scaled to length 1, from all training pictures
    (Mueller and Hein, 2025, arXiv 2505.18032), less the energy of the logits (Liu et al., 2020, arXiv 2010.03759): the
    logarithm of the sum of their exponentials is small where no class is likely. Each counts in its own standard
    deviation. Several labels a picture and values have no such energy: there the distance alone decides.

    Attributes:
        mean: float32 (D,), of the training pictures.
        whitening: float32 (D, D), see `Gaussian`.
        weights: float32 (2,), of the distance and of the energy.
    """

    mean: Tensor
    whitening: Tensor
    weights: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor, weights: Tensor) -> None:
        """Keep what was fitted."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)
        self.register_buffer("weights", weights)

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """Rebuild a detector from its `state_dict`."""
        return cls(state["mean"], state["whitening"], state["weights"])

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Turn features (B, D) and logits (B, K) into float32 scores (B,); any number of pictures at once."""
        distances = Gaussian(self.mean, self.whitening).distances(unit_rows(features))
        return self.combined(distances, logits)

    def combined(self, distances: Tensor, logits: Tensor) -> Tensor:
        """Return the score (B,) of squared distances (B,) and logits (B, K)."""
        return self.weights[0] * distances - self.weights[1] * logits.float().logsumexp(dim=1)


@torch.no_grad()
def fit_detector(features: Tensor, targets: Tensor, logits: Tensor) -> StrangerDetector:
    """Fit a detector to training pictures.

    Args:
        features: (M, D), what the head sees, of any floating type.
        targets: Class numbers (M,), or labels or values (M, K).
        logits: (N, K) of any pictures that the head has not seen: they tell how much the energy varies. With fewer than
            two, the distance alone decides.

    Raises:
        TlearnError: There are no pictures, or features or logits are not finite.
    """
    _check(features, targets, features, logits)
    rows = unit_rows(features)
    fitted, weights = fit_gaussian(rows), torch.tensor([1.0, 0.0])
    if len(rows) > 1:
        weights[0] = _inverse_deviation(fitted.left_out_distances(rows)) or 1.0
    if _are_classes(targets):
        weights[1] = _ENERGY * _inverse_deviation(logits.float().logsumexp(dim=1))
    return StrangerDetector(*fitted.gaussian, weights)


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
    width = features.shape[1]
    parts = zip(blocks(features, width), blocks(logits, width), strict=True)
    return torch.cat([features.new_empty(0, dtype=torch.float32), *(detector(*part) for part in parts)])


@torch.no_grad()
def held_out_scores(
    features: Tensor,
    targets: Tensor,
    logits: Tensor,
    groups: Tensor | None = None,
    detector: StrangerDetector | None = None,
) -> Tensor:
    """Return the score of each training picture, float32 (N,), by a detector that has not seen it nor its group.

    A picture is left out in closed form; with groups, five detectors are fitted, each without a fifth of them.

    Args:
        features: (N, D).
        targets: As for `fit_detector`.
        logits: (N, K), by a head that has not seen the picture.
        groups: int64 (N,), the group of each.
        detector: Weighs distance and energy; by default that of the same pictures.

    Raises:
        TlearnError: Features or logits are not finite, or there are no two pictures or groups.
    """
    _check(features, targets, logits, logits)
    if (groups is not None and len(groups.unique()) < 2) or len(features) < 2:
        raise TlearnError("all training pictures are of one group; two or more are needed to hold one out")
    detector, rows = detector or fit_detector(features, targets, logits), unit_rows(features)
    if groups is None:
        distances = fit_gaussian(rows).left_out_distances(rows)
    else:
        distances = held_out_distances(rows, targets, groups)
    return detector.combined(distances, logits)


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


def _check(features: Tensor, targets: Tensor, logits: Tensor, finite: Tensor) -> None:
    check_features("the features of training pictures", features)
    check_features("the logits", finite)
    if not len(features) == len(targets) == len(logits) or not len(features):
        raise TlearnError(
            f"expected features, targets and logits of the same pictures, 1 or more; there are {len(features)}, "
            f"{len(targets)} and {len(logits)}"
        )


def _are_classes(targets: Tensor) -> bool:
    return targets.ndim == 1 and not targets.is_floating_point()


def _inverse_deviation(values: Tensor) -> float:
    """Return 1 over the standard deviation, or 0 where the values do not vary."""
    deviation = float(values.double().std(correction=0)) if len(values) > 1 else 0.0
    return 1 / deviation if deviation > _LEAST_DEVIATION else 0.0
