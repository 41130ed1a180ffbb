"""Find copies of pictures: byte for byte, nearly alike, mirrored or turned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tlearn.base.progress import tracked
from tlearn.data.files.listing import number_of

NEAR_BITS = 6  # of 64. pHash's authors allow 22 % of the bits; 6 are enough for re-saved and resized copies
NEAR_LEVELS = 12.0  # mean grey levels between thumbnails: a perceptual hash ignores colour and contrast


def same_content(digests: Sequence[bytes]) -> list[list[int]]:
    """Group the positions of equal digests; empty digests equal nothing.

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
    """Group pictures of which each looks like at least one other of its group.

    Args:
        hashes: uint64 (N,), perceptual hashes.
        thumbs: uint8 (N, 192), thumbnails. They must agree too, because pictures without structure share a hash.
        bits: The most bits in which the hashes of a pair may differ.
        levels: The most grey levels by which thumbnails of a pair may differ in the mean.

    Returns:
        Groups of two or more positions, sorted.
    """
    from scipy.sparse import coo_matrix  # imported here: it takes 0.2 s, and a run needs only `same_content`
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

    A hash is cut into ``bits + 1`` bands, of which at least one is equal in both (pigeonhole). So only pictures that
    share a band are compared. Pictures of the same hash are paired only with the next one, which groups them all.
    """
    values, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    same = inverse[order][1:] == inverse[order][:-1]
    pairs = [np.stack([order[:-1][same], order[1:][same]], axis=1)]
    for band in _bands(values, bits + 1):
        pairs += [np.stack([first[a], first[b]], axis=1) for a, b in _close(band, values, bits)]
    return np.unique(np.concatenate(pairs), axis=0)


def _bands(values: NDArray[np.uint64], count: int) -> Iterable[NDArray[np.uint64]]:
    edges = np.linspace(0, 64, count + 1).astype(int)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)


def _close(
    band: NDArray[np.uint64], values: NDArray[np.uint64], bits: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of hashes that share a band and are close, by their positions.

    In the order of the band first neighbours are compared, then those between which one more lies, and so on: all
    groups of a band at once.
    """
    order = np.argsort(band, kind="stable")
    left, shared = np.arange(len(order)), band[order]
    for apart in range(1, len(order)):
        left = left[: np.searchsorted(left, len(order) - apart)]
        left = left[shared[left] == shared[left + apart]]
        if not len(left):
            return
        a, b = order[left], order[left + apart]
        near = np.bitwise_count(values[a] ^ values[b]) <= bits
        yield a[near], b[near]


def _parts(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [values[start : start + 65536] for start in range(0, len(values), 65536)]


_Pixels = NDArray[np.uint8]
_HASHED_PX, _KEPT = 32, 8  # as pHash has it: of 32 x 32 px the lowest 8 x 8 coefficients
_ODD = (-1.0) ** np.arange(_KEPT)
_ODD_ROWS, _ODD_COLUMNS = _ODD[:, None], _ODD[None, :]

# What turns or mirrors a picture (H, W, 3), and what that does to the coefficients of its cosine transform. A quarter
# turn back is a quarter turn of the other picture of a pair.
WAYS: dict[str, tuple[Callable[[_Pixels], _Pixels], Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "mirrored": (lambda x: x[:, ::-1], lambda c: c * _ODD_COLUMNS),
    "upside down and mirrored": (lambda x: x[::-1], lambda c: c * _ODD_ROWS),
    "turned by 180 degrees": (lambda x: x[::-1, ::-1], lambda c: c * _ODD_ROWS * _ODD_COLUMNS),
    "turned by 90 degrees": (lambda x: np.rot90(x), lambda c: c.T * _ODD_ROWS),
    "turned by 90 degrees and mirrored": (lambda x: x.swapaxes(0, 1), lambda c: c.T),
    "turned by 270 degrees and mirrored": (
        lambda x: x[::-1, ::-1].swapaxes(0, 1),
        lambda c: c.T * _ODD_ROWS * _ODD_COLUMNS,
    ),
}


def perceptual_hashes(grey: _Pixels) -> tuple[int, bytes]:
    """Return pHash of a picture as it is, and of the picture turned in each of `WAYS`, 8 bytes each.

    Args:
        grey: uint8 (32, 32).
    """
    from scipy.fft import dctn  # here: 0.2 s that a run with nothing new to inspect need not wait

    lowest = dctn(grey.astype(np.float64), type=2)[:_KEPT, :_KEPT]
    all_ways = np.stack([lowest, *(change(lowest) for _, change in WAYS.values())]).reshape(1 + len(WAYS), -1)
    bits = np.packbits(all_ways > np.median(all_ways, axis=1, keepdims=True), axis=1)
    return int.from_bytes(bits[0].tobytes(), "big"), bits[1:].tobytes()


def turned_alike(
    hashes: NDArray[np.uint64], turned: NDArray[np.uint64], thumbs: _Pixels, upright: Sequence[Sequence[int]]
) -> list[tuple[list[int], list[str]]]:
    """Group pictures that look alike once one of them is turned or mirrored.

    Args:
        hashes: uint64 (N,).
        turned: uint64 (N, 6), those of each of `WAYS`.
        thumbs: uint8 (N, S, S, 3).
        upright: Groups of those that are alike as they are: a symmetric picture is like its copy in many ways.

    Returns:
        Positions, sorted, two or more, with the names of the ways.
    """
    group_of = {number: place for place, group in enumerate(upright) for number in group}
    found: list[tuple[set[int], set[str]]] = []
    for column, (way, (change, _)) in enumerate(tracked(WAYS.items(), "looking for turned copies", len(WAYS), "ways")):
        changed = np.stack([change(thumb) for thumb in thumbs])
        both = np.concatenate([thumbs, changed]).reshape(2 * len(hashes), -1)
        for group in near_alike(np.concatenate([hashes, turned[:, column]]), both):
            members = {number % len(hashes) for number in group}
            if min(group) < len(hashes) <= max(group) and len({group_of.get(n, -1 - n) for n in members}) > 1:
                found = _joined(found, members, way)
    return [(sorted(members), [way for way in WAYS if way in ways]) for members, ways in found]


def _joined(found: Iterable[tuple[set[int], set[str]]], members: set[int], way: str) -> list[tuple[set[int], set[str]]]:
    """Add a group to those found; it swallows those that it has a member of."""
    rest, ways = [], {way}
    for other, its_ways in found:
        if other & members:
            members, ways = members | other, ways | its_ways
        else:
            rest.append((other, its_ways))
    return [*rest, (members, ways)]


def told_of_copies(
    pictures: Sequence[tuple[bytes, str, Tensor]], are_contrary: Callable[[Sequence[Tensor]], bool]
) -> list[str]:
    """Count pictures that are, bit by bit, in training and in validation, or that have two labels.

    Args:
        pictures: Of each picture the hash of its content, its split and its target.
        are_contrary: Tells whether targets contradict each other.
    """
    groups = [[pictures[number] for number in group] for group in same_content([digest for digest, _, _ in pictures])]
    counts = {
        "in train and, bit by bit the same, in val: the accuracy will flatter": sum(
            len({split for _, split, _ in group}) > 1 for group in groups
        ),
        "under two labels: nobody can learn both": sum(
            are_contrary([target for _, _, target in group]) for group in groups
        ),
    }
    return [f"{number_of(count, 'picture')} {what}" for what, count in counts.items() if count]
