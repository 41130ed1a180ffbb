"""Divide pictures into clusters by their features. N pictures, D features, R directions, K clusters."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

Rows = NDArray[np.float32]
Numbers = NDArray[np.int64]

_DIRECTIONS = 64  # they hold what tells pictures apart; k-means over all features takes twenty times as long
_PASSES = 4  # of the randomised decomposition
_MOST_STEPS = 30  # of k-means: its clusters are a means, not the result
_SEED = 0


def compressed(features: Tensor) -> Rows:
    """Return the directions in which pictures differ most, float32 (N, R), of features (N, D) brought to length 1."""
    units = F.normalize(features.float() - features.float().mean(dim=0))
    units = units - units.mean(dim=0)
    count = min(_DIRECTIONS, *units.shape)
    left, sizes, _ = randomized_svd(units.numpy(), count, n_iter=_PASSES, random_state=_SEED)
    return np.asarray(left * sizes, dtype=np.float32)


def clusters_of(rows: Rows, count: int, seed: int, weights: Rows | None = None) -> tuple[Numbers, Rows]:
    """Divide rows (N, R) into clusters by k-means (Lloyd, 1982), begun by k-means++ (Arthur and Vassilvitskii, 2007).

    Args:
        rows: The pictures.
        count: K; there are fewer where fewer rows differ.
        seed: Of the first centres.
        weights: How much each row pulls a centre, (N,); all alike by default.

    Returns:
        The cluster of each row, int64 (N,), and the distance of each row to the centre of its own, (N,).
    """
    clusters = min(count, len(np.unique(rows, axis=0)))
    found = KMeans(clusters, n_init=1, max_iter=_MOST_STEPS, random_state=seed).fit(rows, sample_weight=weights)
    distances = np.linalg.norm(rows - found.cluster_centers_[found.labels_], axis=1)
    return found.labels_.astype(np.int64), distances.astype(np.float32)
