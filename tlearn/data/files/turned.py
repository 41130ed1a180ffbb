"""The eight ways in which a picture can lie: its perceptual hash and its thumbnail in each. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tlearn.data.files.duplicates import near_alike

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
    for column, (way, (change, _)) in enumerate(WAYS.items()):
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
