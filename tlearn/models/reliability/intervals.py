"""Intervals that hold the true value of a regression with a promised probability. N held-out pictures, K columns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tlearn.models.reliability.held_out import Held, check_finite, check_share, infinite, need_more, threshold_of


class IntervalRule(NamedTuple):
    """How wide intervals are, and what a report says of it.

    Attributes:
        coverage: What was asked for.
        half_widths: float64 (K,), in the unit of the values; infinite where a column has too few held-out values.
        held_out: Pictures that the rule rests on.
        groups: Groups that these are of; 0 without groups.
    """

    coverage: float
    half_widths: Tensor
    held_out: int
    groups: int = 0


def fit_intervals(values: Tensor, targets: Tensor, coverage: float, groups: Tensor | None = None) -> IntervalRule:
    """Find how far a value may be off, so that the interval holds the true one in the share `coverage` of pictures.

    The threshold of the absolute errors (Lei et al., 2018), for each column by itself, not for all of them at once.
    All pictures get intervals of one width: the network gives no measure of how far off it is on one of them.

    Args:
        values: The network's, of held-out pictures, in the user's unit (N, K).
        targets: True ones (N, K); NaN where it is unknown.
        coverage: From 0 to 1, both excluded.
        groups: Group of each picture (N,); the promise is then for a picture of a new group.

    Raises:
        TlearnError: `coverage` is no such share; values are not finite; too few pictures or groups in every column.
    """
    check_share("coverage", coverage)
    values = check_finite("values", values)
    half_widths, known = infinite(values.shape[1]), ~targets.isnan()
    parts = [
        Held((values - targets)[:, column].abs(), groups).of(known[:, column]) for column in range(values.shape[1])
    ]
    for column, held in enumerate(parts):
        half_widths[column] = threshold_of(held, coverage)
    if bool(half_widths.isinf().all()):
        raise need_more(max(parts, key=lambda part: part.units), coverage)
    return IntervalRule(coverage, half_widths, len(values), 0 if groups is None else len(groups.unique()))


def intervals(rule: IntervalRule, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper ends, (B, K) each, in the kind of numbers that the values (B, K) have."""
    half_widths = rule.half_widths.to(values.device)
    return (values.double() - half_widths).to(values.dtype), (values.double() + half_widths).to(values.dtype)
