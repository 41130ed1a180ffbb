"""Choose pictures that are typical of what is not labelled yet. N pictures, R directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tlearn.analysis.query.clusters import Rows, clusters_of

_MOST_CLUSTERS = 500  # as in the paper: smaller ones say little
_NEIGHBOURS = 20  # likewise
_SMALL = 5  # pictures of a cluster that may be a few odd ones; likewise


def typical_pictures(rows: Rows, is_asked: NDArray[np.bool_], count: int, seed: int) -> list[int]:
    """Return the most typical picture of each of the largest clusters without a label (TypiClust).

    There are as many clusters as labels, with those that are asked for. A picture is typical if its neighbours in its
    cluster are near: a picture of which there are many (Hacohen, Dekel and Weinshall, 2022, arXiv 2202.02794).

    Args:
        rows: (N, R), see `compressed`.
        is_asked: (N,), pictures that have a label, or were asked about.
        count: How many pictures are wanted, at most as many as are not asked yet.
        seed: Of the clusters.

    Returns:
        Positions, the largest cluster first.
    """
    clusters, _ = clusters_of(rows, min(int(is_asked.sum()) + count, _MOST_CLUSTERS), seed)
    number = int(clusters.max()) + 1
    asked, sizes = np.bincount(clusters[is_asked], minlength=number), np.bincount(clusters, minlength=number)
    queues = dict[int, list[int]]()
    for cluster in range(number):
        order = _most_typical_first(rows, np.flatnonzero(clusters == cluster))
        queues[cluster] = order[~is_asked[order]].tolist()[::-1]
    found = list[int]()
    while len(found) < count:
        open_ones = [cluster for cluster, queue in queues.items() if queue]
        large = [cluster for cluster in open_ones if sizes[cluster] >= _SMALL]
        chosen = min(large or open_ones, key=lambda cluster: (asked[cluster], -sizes[cluster], cluster))
        found.append(queues[chosen].pop())
        asked[chosen] += 1
    return found


def _most_typical_first(rows: Rows, members: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(members) < 2:
        return members
    own = rows[members]
    squares = np.square(own).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * own @ own.T, 0))
    distances.sort(axis=1)
    return members[np.argsort(distances[:, 1 : _NEIGHBOURS + 1].mean(axis=1), kind="stable")]
