"""Nearest neighbours among features, by cosine distance. Letters: M known pictures, B asked ones, D features."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.errors import TlearnError

_MOST_CELLS = 2**22  # of one block of distances: 16 MB
_STEP = 2.0**-16  # of a distance; a product of matrices rounds equal rows in unlike ways, by 3e-6 at 2,000 features


class Neighbours(NamedTuple):
    """The nearest known pictures of each asked one, the nearest first.

    Attributes:
        distances: float32 (B, count), cosine distances: 0 for the same direction, 1 for a right angle, at most 2;
            multiples of 2^-16, so that rounding decides no order.
        rows: int64 (B, count), their rows among the known ones.
    """

    distances: Tensor
    rows: Tensor


class KnownFeatures:
    """The features of M known pictures, among which neighbours are found by cosine distance in float32.

    Args:
        known: (M, D) of any floating type; they are kept as float32 of length 1.

    Raises:
        TlearnError: A feature is not finite.
    """

    def __init__(self, known: Tensor) -> None:
        check_features("the known features", known)
        self._directions = unit_rows(known)

    def __len__(self) -> int:
        """Count the known pictures."""
        return len(self._directions)

    def nearest(self, features: Tensor, count: int) -> Neighbours:
        """Find the nearest known pictures of each asked one.

        Args:
            features: (B, D) of any floating type.
            count: How many for each; with fewer known ones, all of them. Equal distances stand in the order of their
                rows.

        Raises:
            TlearnError: A feature is not finite, ``count`` is below 1, or the widths differ.
        """
        if count < 1:
            raise TlearnError(f"{count} nearest pictures were asked for; ask for 1 or more")
        check_features("the features", features)
        known = self._directions
        if known.shape[1] != features.shape[1]:
            raise TlearnError(
                f"the known pictures have {known.shape[1]} features, these have {features.shape[1]}; take the network "
                "that the known ones were computed with"
            )
        count = min(count, len(known))
        distances, rows = features.new_empty(len(features), count, dtype=torch.float32), list[Tensor]()
        for part, into in zip(blocks(features, len(known)), blocks(distances, len(known)), strict=True):
            found = (cosine_distances(part, known.T) / _STEP).round() * _STEP
            into.copy_(found.topk(count, largest=False).values)
            rows.append(_rows_at(found, into))
        return Neighbours(distances, torch.cat(rows) if rows else distances.long())


def unit_rows(features: Tensor) -> Tensor:
    """Scale each row to length 1, in float32; a row of zeros stays one."""
    return F.normalize(features.float(), dim=1)


def cosine_distances(features: Tensor, directions: Tensor) -> Tensor:
    """Return float32 (B, M), from features (B, D) to columns of length 1, (D, M)."""
    return (1 - unit_rows(features) @ directions).clamp_min(0)


def blocks(rows: Tensor, width: int) -> tuple[Tensor, ...]:
    """Divide rows so that a block with this many columns needs little memory."""
    return rows.split(max(1, _MOST_CELLS // max(1, width))) if len(rows) else ()


def check_features(what: str, features: Tensor) -> None:
    """Check features (N, D).

    Raises:
        TlearnError: They are no table of numbers, or not finite.
    """
    if features.ndim != 2:
        raise TlearnError(f"{what} have the shape {tuple(features.shape)}; expected (pictures, features)")
    if features.numel() and not torch.stack(features.aminmax()).isfinite().all():  # NaN is the least and the most
        bad = int((~features.isfinite()).any(dim=1).sum())
        raise TlearnError(
            f"{what} are not finite for {bad} of {len(features)} pictures; compute them in --trainer.precision 32-true"
        )


def _rows_at(distances: Tensor, least: Tensor) -> Tensor:
    """Return the rows of the least distances, equal ones by row; `torch.topk` leaves their order open."""
    is_among = distances <= least[:, -1:]
    order = torch.where(is_among, distances, torch.inf).argsort(dim=1, stable=True)
    return order[:, : least.shape[1]]
