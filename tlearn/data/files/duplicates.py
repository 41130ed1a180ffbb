"""Which pictures are the same, or look it: pure functions. Letters: N pictures, M pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

NEAR_BITS = 6  # of 64: pHash's authors call up to 22 % of the bits similar; fewer finds re-saved and resized copies
NEAR_LEVELS = 12.0  # mean grey levels between thumbnails: a perceptual hash knows nothing of colour or contrast


def same_content(digests: Sequence[bytes]) -> list[list[int]]:
    """Group the positions of equal digests; empty digests are equal to nothing.

    Returns:
        Groups of two or more positions, sorted.
    """
    places: dict[bytes, list[int]] = defaultdict(list)
    for number, digest in enumerate(digests):
        if digest:
            places[digest].append(number)
    return [group for group in places.values() if len(group) > 1]


def near_alike(
    hashes: NDArray[np.uint64], thumbs: NDArray[np.uint8], bits: int = NEAR_BITS, levels: float = NEAR_LEVELS
) -> list[list[int]]:
    """Group pictures that look alike, each to one other of its group at least.

    Args:
        hashes: uint64 (N,), perceptual hashes.
        thumbs: uint8 (N, 192), thumbnails, which must agree too: pictures without structure share their hash.
        bits: Hashes of a pair differ in at most so many bits.
        levels: Thumbnails of a pair differ by at most so many grey levels in the mean.

    Returns:
        Groups of two or more positions, sorted.
    """
    from scipy.sparse import coo_matrix  # here: 0.2 s that a run, which only looks for equal files, need not wait
    from scipy.sparse.csgraph import connected_components

    pairs = _candidates(hashes, bits)
    if not len(pairs):
        return []
    left, right = pairs.T
    apart = np.concatenate(
        [
            np.abs(thumbs[a].astype(np.int16) - thumbs[b]).mean(axis=1)
            for a, b in zip(_parts(left), _parts(right), strict=True)
        ]
    )
    left, right = left[apart <= levels], right[apart <= levels]
    graph = coo_matrix((np.ones(len(left), dtype=bool), (left, right)), shape=(len(hashes), len(hashes)))
    _, group_of = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = defaultdict(list)
    for number in np.unique(np.concatenate([left, right])).tolist():
        groups[int(group_of[number])].append(number)
    return list(groups.values())


def _candidates(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Return pairs (M, 2) at most so many bits apart.

    Of ``bits + 1`` bands of a hash one at least is equal in both (pigeonhole), so only pictures that share a band are
    compared. Of many with the very same hash each is paired with the next one only: they are one group anyway.
    """
    values, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    same = inverse[order][1:] == inverse[order][:-1]
    pairs = [np.stack([order[:-1][same], order[1:][same]], axis=1)]
    for band in _bands(values, bits + 1):
        pairs += [_close(members, values, bits, first) for members in _equal(band)]
    return np.unique(np.concatenate(pairs), axis=0)


def _bands(values: NDArray[np.uint64], count: int) -> Iterable[NDArray[np.uint64]]:
    edges = np.linspace(0, 64, count + 1).astype(int)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)


def _equal(band: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    order = np.argsort(band, kind="stable")
    ends = np.flatnonzero(np.diff(band[order])) + 1
    return [members for members in np.split(order, ends) if len(members) > 1]


def _close(
    members: NDArray[np.int64], values: NDArray[np.uint64], bits: int, first: NDArray[np.int64]
) -> NDArray[np.int64]:
    found = []
    for start in range(0, len(members), 1024):
        rows = members[start : start + 1024]
        apart = np.bitwise_count(values[rows][:, None] ^ values[members][None, :])
        left, right = np.nonzero(apart <= bits)
        a, b = rows[left], members[right]
        found.append(np.stack([first[a], first[b]], axis=1)[a < b])
    return np.concatenate(found)


def _parts(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [values[start : start + 65536] for start in range(0, len(values), 65536)]
