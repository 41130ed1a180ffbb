"""Choose pictures that the head cannot tell, no two of them alike. N pictures, R directions, K classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tlearn.analysis.query.clusters import Numbers, Rows, clusters_of

_BROAD = 10  # pictures looked at for each that is wanted; as in the paper
_LEAST = 1e-6  # weight of a picture without doubt, where nothing else is left


def margins_of(probabilities: Tensor) -> Rows:
    """Return how much the likeliest class is ahead of the second, float32 (N,), for probabilities (N, K)."""
    first, second = probabilities.topk(2, dim=1).values.unbind(dim=1)
    margins: Rows = (first - second).float().numpy()
    return margins


def doubtful_pictures(rows: Rows, margins: Rows, is_open: NDArray[np.bool_], count: int, seed: int) -> list[int]:
    """Return pictures of small margins that differ from each other.

    Of the pictures with the smallest margins, ten for each that is wanted, k-means makes as many clusters as are
    wanted, in which a picture weighs as much as it is doubtful; the nearest to each centre is taken (Zhdanov, 2019,
    arXiv 1901.05954). The smallest margins alone would be many pictures of one kind.

    Args:
        rows: (N, R), see `compressed`.
        margins: (N,), see `margins_of`.
        is_open: (N,), pictures that may be asked for.
        count: How many pictures are wanted, at most as many as are open.
        seed: Of the clusters.

    Returns:
        Positions, the smallest margin first.
    """
    places = np.flatnonzero(is_open)
    places = places[np.argsort(margins[places], kind="stable")[: _BROAD * count]]
    found = _nearest_to_centres(rows[places], np.maximum(1 - margins[places], _LEAST), count, seed)
    chosen = places[found]
    if len(chosen) < count:  # of pictures that are alike
        rest = places[~np.isin(places, chosen)]
        chosen = np.concatenate([chosen, rest[: count - len(chosen)]])
    return [int(place) for place in chosen[np.argsort(margins[chosen], kind="stable")]]


def _nearest_to_centres(rows: Rows, weights: Rows, count: int, seed: int) -> Numbers:
    clusters, distances = clusters_of(rows, count, seed, weights)
    order = np.lexsort((distances, clusters))
    first = np.unique(clusters[order], return_index=True)[1]
    nearest: Numbers = order[first]
    return nearest
