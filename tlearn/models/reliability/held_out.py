"""Thresholds from pictures that were not learned from (split conformal), also where pictures come in groups.

N pictures. A picture's score says how badly the truth fits the answer; a threshold keeps the share `coverage` below it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError

_ROUNDING = 1e-9  # 0.95 * 20 must be 19, whatever its last bit


class Held(NamedTuple):
    """Scores of held-out pictures.

    Attributes:
        scores: float64 (N,).
        groups: Group of each picture, int64 (N,), or ``None`` where all pictures are of one kind.
    """

    scores: Tensor
    groups: Tensor | None = None

    def of(self, rows: Tensor) -> Held:
        """Return those of some pictures, which a mask (N,) tells."""
        return Held(self.scores[rows], None if self.groups is None else self.groups[rows])

    @property
    def units(self) -> int:
        """How many independent pieces of evidence there are: groups, or pictures where there are no groups."""
        return len(self.scores) if self.groups is None else len(self.groups.unique())


def check_share(name: str, share: float) -> float:
    """Return a share that lies between 0 and 1, both excluded.

    Raises:
        TlearnError: It does not.
    """
    if not 0 < share < 1:
        raise TlearnError(f"{name}: expected a share above 0 and below 1, such as 0.9; got {share:g}")
    return share


def check_finite(name: str, values: Tensor) -> Tensor:
    """Return values (N, K) as float64.

    Raises:
        TlearnError: Some are not finite.
    """
    bad = ~values.isfinite().all(dim=1)
    if bool(bad.any()):
        raise TlearnError(f"expected finite {name}; those of {int(bad.sum())} of {len(values)} pictures are not")
    return values.double()


def fewest(coverage: float) -> int:
    """Return the fewest pictures (or groups) with which a coverage can be promised: 9 for 0.9, 19 for 0.95."""
    return math.ceil(coverage / (1 - coverage) - _ROUNDING)


def _rank(count: int, coverage: float) -> int:
    return min(math.ceil((count + 1) * coverage - _ROUNDING), count)


def threshold_of(held: Held, coverage: float) -> float:
    """Return the score that a new picture stays at or below with probability `coverage`; infinity of too few.

    Without groups it is the ``ceil((N + 1) * coverage)``-th smallest score (Vovk et al., 2005; Papadopoulos et al.,
    2002). With G groups each group weighs ``1 / (G + 1)``, shared by its pictures, and the new group, of which nothing
    is known, weighs as much: hierarchical conformal prediction (Lee, Barber, Willett, 2023, arXiv 2306.06342). It then
    holds for a picture of a group that was never seen, on average over such groups.

    Args:
        held: Scores of held-out pictures.
        coverage: From 0 to 1, both excluded.
    """
    if held.units < fewest(coverage):
        return math.inf
    scores, order = held.scores.sort()
    if held.groups is None:
        return float(scores[_rank(len(scores), coverage) - 1])
    _, codes, counts = held.groups.unique(return_inverse=True, return_counts=True)
    weights = (1 / counts.double())[codes][order]
    place = int((weights.cumsum(0) < (len(counts) + 1) * coverage - _ROUNDING).sum())
    return float(scores[min(place, len(scores) - 1)])


def need_more(held: Held, coverage: float, what: str = "") -> TlearnError:
    """Return the error for too few held-out pictures or groups, with how many are needed."""
    unit = "pictures" if held.groups is None else "groups"
    most = held.units / (held.units + 1)
    other = f"ask for {math.floor(most * 100 + _ROUNDING) / 100:g} or less, or " if most >= 0.5 else ""
    return TlearnError(
        f"coverage {coverage:g} needs at least {fewest(coverage)} held-out {unit}{what}, found {held.units}; "
        f"{other}hold out more"
    )


def coverage_spread(count: int, coverage: float, within: float = 0.95) -> tuple[float, float]:
    """Return between which two shares the true coverage lies, given how many pictures it was set on.

    Over all draws of `count` held-out pictures the coverage of the sets is Beta-distributed (Vovk, 2012); on average
    it is what was asked for, but with few pictures one draw may be off.

    Args:
        count: Held-out pictures, without groups.
        coverage: What was asked for.
        within: In what share of draws it lies between the two.
    """
    from scipy.stats import beta  # here: it takes half a second

    if count < fewest(coverage):
        return 1.0, 1.0
    rank = _rank(count, coverage)
    tail = (1 - within) / 2
    low, high = beta.ppf([tail, 1 - tail], rank, count + 1 - rank)
    return float(low), float(high)


def infinite(count: int) -> Tensor:
    """Return thresholds (count,) that nothing passes, float64."""
    return torch.full((count,), math.inf, dtype=torch.float64)
