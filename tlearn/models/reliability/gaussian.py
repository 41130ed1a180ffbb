"""One Gaussian over features, fitted to few pictures or many. Letters: N pictures, D features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FOLDS = 5
_LEAST_VARIANCE = 1e-10  # of features of length 1; half precision rounds them by this much
_LEAST_REST = 1e-3


class Gaussian(NamedTuple):
    """A mean and what turns the covariance into the identity.

    Attributes:
        mean: float32 (D,).
        whitening: float32 (D, D), upper triangular.
    """

    mean: Tensor
    whitening: Tensor

    def distances(self, rows: Tensor) -> Tensor:
        """Return the squared Mahalanobis distances (N,) of rows (N, D)."""
        return ((rows - self.mean) @ self.whitening).square().sum(dim=1)


class Fitted(NamedTuple):
    """A Gaussian, and the share of the identity in its covariance, 0 to 1."""

    gaussian: Gaussian
    share: float

    def left_out_distances(self, rows: Tensor) -> Tensor:
        """Return the squared distance of each of its rows (N, D), from the Gaussian of all others, float32 (N,).

        In closed form (Sherman and Morrison, 1950), for this share of the identity; off by at most about 1 / N.
        """
        count, distances = len(rows), self.gaussian.distances(rows)
        rest = 1 - (1 - self.share) * distances / (count - 1)
        return distances * (count / (count - 1)) ** 2 / rest.clamp_min(_LEAST_REST)


def fit_gaussian(rows: Tensor) -> Fitted:
    """Fit a Gaussian to rows, float32 (N, D); its covariance is shrunk, so N may be far below D."""
    mean = rows.mean(dim=0)
    centred = rows - mean
    return _gaussian(mean, centred.square().sum(dim=1), (centred.T @ centred).double() / len(rows))


def held_out_distances(rows: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """Return the squared distance of each row, float32 (N,), from a Gaussian that has not seen it nor its group.

    There are five Gaussians, each without a fifth of the groups.

    Args:
        rows: float32 (N, D).
        targets: Class numbers (N,), of which each fold gets its part; other targets are left alone.
        groups: int64 (N,), two or more of them.
    """
    folds = _folds(targets, groups)
    overall = rows.mean(dim=0)  # near every fold's own mean, so that float32 products are exact enough
    centred, distances = rows - overall, rows.new_empty(len(rows))
    members = [folds == fold for fold in range(int(folds.max()) + 1)]
    sums = torch.stack([centred[each].sum(dim=0) for each in members])
    products = [centred[each].T @ centred[each] for each in members]
    whole = sum(products, torch.zeros_like(products[0]))
    for number, held_out in enumerate(members):
        count = int((~held_out).sum())
        mean = (sums.sum(dim=0) - sums[number]) / count
        covariance = (whole - products[number]).double() / count - torch.outer(mean.double(), mean.double())
        squares = (centred[~held_out] - mean).square().sum(dim=1)
        distances[held_out] = _gaussian(mean, squares, covariance).gaussian.distances(centred[held_out])
    return distances


def _gaussian(mean: Tensor, squares: Tensor, covariance: Tensor) -> Fitted:
    """Shrink a covariance (D, D) towards a multiple of the identity (Ledoit and Wolf, 2004), and invert its root.

    Args:
        mean: (D,).
        squares: Squared length of each centred row (N,).
        covariance: float64 (D, D), of the N rows; changed in place.
    """
    count, width = len(squares), len(mean)
    variance = covariance.trace() / width
    size = covariance.square().sum()
    spread = (size - width * variance.square()).clamp_min(0)
    noise = (squares.double().square().sum() / count - size).clamp_min(0) / count
    share = float((noise / spread).clamp_max(1)) if float(spread) > 0 else 1.0
    covariance *= 1 - share
    covariance.diagonal().add_(share * variance + _LEAST_VARIANCE)
    root = torch.linalg.cholesky(covariance)
    identity = torch.eye(width, dtype=root.dtype)
    whitening = torch.linalg.solve_triangular(root, identity, upper=False).T.float().contiguous()
    return Fitted(Gaussian(mean, whitening), share)


def _folds(targets: Tensor, groups: Tensor) -> Tensor:
    """Number the fold of each picture (N,): groups stay whole, and classes are dealt out in turn."""
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(0))
    names, codes = groups.unique(return_inverse=True)
    first = torch.full((len(names),), len(groups)).scatter_reduce(0, codes[order], torch.arange(len(order)), "amin")
    class_of = targets[order[first]] if targets.ndim == 1 and not targets.is_floating_point() else first * 0
    turn = first.argsort()  # a random order of the groups
    turn = turn[class_of[turn].argsort(stable=True)]
    folds = torch.empty_like(turn)
    folds[turn] = torch.arange(len(turn)) % _FOLDS
    return folds[codes]
