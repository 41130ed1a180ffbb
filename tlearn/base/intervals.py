"""Shares of right answers, in words and with their intervals."""

from __future__ import annotations

from math import sqrt

_Z = 1.959964  # the normal distribution's 97.5 % point
FEW_IMAGES = 1000  # below it a share is shown with its interval: half its width can reach a point and a half or more


def share_interval(right: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's score method (Wilson, 1927).

    It holds for few images and at 0 and 1, where the usual ``p +- 1.96 s`` has no width.

    Args:
        right: How many of the images are right.
        count: How many images there are, from 1 on.
    """
    share, z2 = right / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def percent(share: float) -> str:
    """Write a share as percent with one digit: ``81.0 %``."""
    return f"{100 * share:.1f} %"


def share_words(right: float, count: int) -> str:
    """Say a share as people read it: ``81.0 % [74.1, 86.5], 124 of 153``; from 1,000 images on without the interval."""
    of = f"{round(right):,} of {count:,}"
    if count >= FEW_IMAGES:
        return f"{percent(right / count)}, {of}"
    low, high = share_interval(right, count)
    return f"{percent(right / count)} [{100 * low:.1f}, {100 * high:.1f}], {of}"
