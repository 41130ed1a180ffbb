"""Findings about pictures that look alike, also if one is turned or mirrored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tlearn.data.files.duplicates import WAYS, near_alike, turned_alike
from tlearn.data.files.findings import Finding, Picture, names_of
from tlearn.data.files.listing import number_of

_FLAT_LEVELS = 3.0  # standard deviation of a thumbnail; below it a picture looks the same when turned


def near_copies(pictures: Sequence[Picture]) -> Iterator[Finding]:
    """Find pictures that are nearly the same."""
    once = list({p.facts.digest: p for p in reversed(pictures)}.values())
    if len(once) < 2:
        return
    hashes = np.array([p.facts.perceptual_hash for p in once], dtype=np.uint64)
    thumbs = np.stack([np.frombuffer(p.facts.thumb, dtype=np.uint8) for p in once])
    groups = near_alike(hashes, thumbs)
    yield from _told([[once[n] for n in group] for group in groups], "near_duplicates", "that look alike")
    yield from _turned(once, hashes, thumbs, groups)


def _turned(
    once: Sequence[Picture], hashes: np.ndarray, thumbs: np.ndarray, upright: Sequence[Sequence[int]]
) -> Iterator[Finding]:
    shown = thumbs.reshape(len(once), 8, 8, 3)
    kept = np.flatnonzero(shown.std(axis=(1, 2)).max(axis=1) >= _FLAT_LEVELS)
    if len(kept) < 2:
        return
    place = {int(number): position for position, number in enumerate(kept)}
    turned = np.stack([np.frombuffer(p.facts.turned_hashes, dtype=">u8") for p in once]).astype(np.uint64)
    same = [[place[n] for n in group if n in place] for group in upright]
    found = turned_alike(hashes[kept], turned[kept], shown[kept], same)
    groups = [[once[kept[n]] for n in members] for members, _ in found]
    counts = Counter(way for _, ways in found for way in ways)
    ways = ", ".join(f"{way} {counts[way]}" for way in WAYS if counts[way])
    yield from _told(groups, "turned_duplicates", f"that look alike once one is turned or mirrored ({ways})")


def _told(groups: Sequence[Sequence[Picture]], kind: str, how: str) -> Iterator[Finding]:
    across = [group for group in groups if len({p.split for p in group}) > 1]
    within = [group for group in groups if len({p.split for p in group}) == 1]
    if across:
        what = f"{number_of(len(across), 'group')} of pictures {how}, spread over splits: look at them"
        yield Finding(f"{kind}_across_splits", "warning", what, names_of(across))
    if within:
        how = how if "(" in how else f"in one split {how}"
        what = f"{number_of(len(within), 'group')} of pictures {how}: look at them"
        yield Finding(kind, "note", what, names_of(within))
