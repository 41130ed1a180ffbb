"""Ways to score how strange a picture looks, to choose from; higher is stranger.

Letters: N training pictures, B asked ones, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.models.reliability.gaussian import fit_gaussian
from tlearn.models.reliability.neighbours import KnownFeatures
from tlearn.models.reliability.strangers import fit_detector, scores_of

_NEIGHBOURS, _PRINCIPAL = 3, 512


class Known(NamedTuple):
    """What a method may know: training features (N, D), classes (N,), held-out logits (N, K), the head (K, D), (K,)."""

    features: Tensor
    targets: Tensor
    held_out_logits: Tensor
    weight: Tensor
    bias: Tensor


Method = Callable[[Known, Tensor], Tensor]


def max_probability(known: Known, features: Tensor) -> Tensor:
    """Score by the largest probability (Hendrycks and Gimpel, 2017); on a scale that does not round to 1."""
    return -_logits(known, features).log_softmax(dim=1).amax(dim=1)


def energy(known: Known, features: Tensor) -> Tensor:
    """Score by the energy of the logits (Liu et al., 2020)."""
    return -_logits(known, features).logsumexp(dim=1)


def neighbour(known: Known, features: Tensor) -> Tensor:
    """Score by the distance to a near neighbour at length 1 (Sun et al., 2022)."""
    return KnownFeatures(known.features).nearest(features, _NEIGHBOURS).distances[:, -1]


def vim(known: Known, features: Tensor, principal: int = _PRINCIPAL) -> Tensor:
    """Score by the virtual logit (Wang et al., 2022); with few pictures, half of them span the principal space."""
    origin = -torch.linalg.pinv(known.weight) @ known.bias
    rows = known.features - origin
    _, vectors = torch.linalg.eigh((rows.T @ rows / len(rows)).double())
    null = vectors[:, : -min(principal, len(rows) // 2)].float()
    scale = float(_logits(known, known.features).amax(dim=1).mean() / (rows @ null).norm(dim=1).mean())
    residuals: Tensor = ((features - origin) @ null).norm(dim=1)
    return scale * residuals + energy(known, features)


def mahalanobis(known: Known, features: Tensor) -> Tensor:
    """Score by the distance to the nearest class of one covariance (Lee et al., 2018), shrunk."""
    return _class_distances(known, features).amin(dim=1)


def relative_mahalanobis(known: Known, features: Tensor) -> Tensor:
    """Score by that distance less the one to all pictures (Ren et al., 2021); both covariances are shrunk."""
    return mahalanobis(known, features) - fit_gaussian(known.features).gaussian.distances(features)


def mahalanobis_at_length_1(known: Known, features: Tensor) -> Tensor:
    """Score by the distance to all pictures, of features scaled to length 1 (Mueller and Hein, 2025)."""
    return fit_gaussian(F.normalize(known.features)).gaussian.distances(F.normalize(features))


def chosen(known: Known, features: Tensor) -> Tensor:
    """Score as tlearn does."""
    detector = fit_detector(known.features, known.targets, known.held_out_logits)
    return scores_of(detector, features, _logits(known, features))


METHODS: dict[str, Method] = {
    "maximum probability": max_probability,
    "energy": energy,
    "nearest neighbours": neighbour,
    "ViM": vim,
    "Mahalanobis": mahalanobis,
    "relative Mahalanobis": relative_mahalanobis,
    "Mahalanobis at length 1": mahalanobis_at_length_1,
    "tlearn": chosen,
}


def _logits(known: Known, features: Tensor) -> Tensor:
    return F.linear(features, known.weight, known.bias)


def _class_distances(known: Known, features: Tensor) -> Tensor:
    centres = torch.stack([known.features[known.targets == each].mean(dim=0) for each in range(len(known.weight))])
    whitening = fit_gaussian(known.features - centres[known.targets]).gaussian.whitening
    return torch.cdist(features @ whitening, centres @ whitening).square()
