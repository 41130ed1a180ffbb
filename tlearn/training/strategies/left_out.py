"""Predict each image by ridge regression on images of other folds, in closed form, without fitting again.

Letters: N images, M images of a fold, D features, R directions of the turned features, K outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.types import Task
from tlearn.training.strategies.head_solver import STRENGTHS, Turned, ridge_path

_ROUNDING = 1e-3  # of what a leverage leaves to the others; float32 features are good to 1e-6
_SMALL_CLASS = 50  # images: in larger ones a single image tilts nothing


class _Layer(NamedTuple):
    strength: float
    weight: Tensor
    bias: Tensor


def folds_of(task: Task, targets: Tensor, num_classes: int) -> list[Tensor]:
    """Return the images (positions) that are left out together: one of every class, where classes are small.

    One alone would tilt the rest against its own class: of ten labels a class, nine against ten is much. Else each
    fold is a single image.
    """
    if task != "classification" or len(targets) > _SMALL_CLASS * num_classes:
        return list(torch.arange(len(targets)).split(1))
    rank = torch.empty_like(targets)
    for number in range(num_classes):
        members = torch.nonzero(targets == number).flatten()
        rank[members] = torch.arange(len(members))
    return folds_from(rank)


def folds_from(numbers: Tensor) -> list[Tensor]:
    """Return the images (positions) of each fold or group, for the number of each image's (N,), whatever it counts."""
    codes = torch.unique(numbers, return_inverse=True)[1]
    return list(codes.argsort(stable=True).split(torch.bincount(codes).tolist()))


def left_out_outputs(turned: Turned, wanted: Tensor, folds: Sequence[Tensor]) -> Tensor:
    """Predict each training image by ridge regression on the images of all other folds, (N, K), in closed form.

    The strength is the one with the least squared error of such predictions. It was chosen on the images that are
    judged, so their score is a little too good: by the best of nine strengths, of which neighbours hardly differ.

    Args:
        turned: The features of all images.
        wanted: What a layer should give, float32 (N, K).
        folds: Positions of the images that are left out together; every image is in one.
    """
    strength = chosen_strength(turned, wanted, folds)
    if strength is None:
        return wanted.mean(dim=0).expand_as(wanted)
    return left_out_at(turned, wanted, folds, strength)


def chosen_strength(turned: Turned, wanted: Tensor, folds: Sequence[Tensor]) -> float | None:
    """Return the strength of `left_out_outputs`; ``None`` where nothing is left to learn from, or all is rounding."""
    if len(folds) < 2:
        return None
    layers = [_Layer(*each) for each in ridge_path(turned, wanted)]
    errors = torch.zeros(len(layers), dtype=torch.float64)
    for fold in _in_parts(folds):
        found = [float((wanted[fold.rows] - each).square().sum()) for each in _answers(turned, wanted, fold, layers)]
        errors[: len(found)] += torch.tensor(found, dtype=torch.float64)
        errors[len(found) :] = torch.inf  # too weak to tell what a fold does to itself from rounding
    best = int(errors.argmin())
    return STRENGTHS[best] if bool(errors[best].isfinite()) else None


def left_out_at(turned: Turned, wanted: Tensor, folds: Sequence[Tensor], strength: float) -> Tensor:
    """Predict as `left_out_outputs` does, with one of `STRENGTHS`.

    It equals a ridge regression on the images of all other folds, centred anew, with the penalty that all images
    together had, which their mean loss does not show: N times the strength on the sum of the losses.

    Returns:
        (N, K) in the precision of `wanted`; NaN where the images of a fold determine their own predictions.
    """
    layers = [_Layer(*each) for each in ridge_path(turned, wanted) if each[0] == strength]
    outputs = torch.full_like(wanted, torch.nan)
    for fold in _in_parts(folds):
        for answer in _answers(turned, wanted, fold, layers):
            outputs[fold.rows] = answer.to(wanted.dtype)
    return outputs


class _Fold(NamedTuple):
    rows: Tensor
    are_single: bool = False  # each of the rows is a fold of its own


def _in_parts(folds: Sequence[Tensor]) -> Iterator[_Fold]:
    """Take the folds of one image together, which need no system to be solved."""
    single = [fold for fold in folds if len(fold) == 1]
    yield from (_Fold(part, are_single=True) for part in (torch.cat(single).split(4096) if single else ()))
    yield from (_Fold(fold) for fold in folds if len(fold) > 1)


def _answers(turned: Turned, wanted: Tensor, fold: _Fold, layers: Sequence[_Layer]) -> Iterator[Tensor]:
    """Yield the predictions of a fold, float64 (M, K), for each strength until one is too weak."""
    rows, weights = turned.rows[fold.rows].double(), turned.weights[fold.rows].double()
    wanted = wanted[fold.rows].double()
    if len(rows) > rows.shape[1] and not fold.are_single:
        yield from _refitted(turned, (rows, weights, wanted), layers)
        return
    for strength, weight, bias in layers:
        residuals = wanted - rows @ weight.T.double() - bias.double()
        shares = 1 / (turned.eigenvalues + strength)
        if fold.are_single:
            rest = 1 - weights * (1 + rows.square() @ shares) / len(turned.rows)
            if float(rest.min()) < _ROUNDING:
                return
            yield wanted - residuals / rest[:, None]
            continue
        factor, is_bad = _factor((1 + (rows * shares) @ rows.T) / len(turned.rows), weights)
        if is_bad:
            return
        roots = weights.sqrt()[:, None]
        yield wanted - torch.cholesky_solve(residuals * roots, factor) / roots


def _factor(pull: Tensor, weights: Tensor) -> tuple[Tensor, bool]:
    """Factorise 1 - H, where H is a fold's part of the hat matrix; tell whether it is rounding.

    The pull of a fold on its own predictions is H, so that without it the residuals are (1 - H)^-1 times what they are
    (Allen, 1974: PRESS). A pivot is what the other images, and those of the fold before it, leave to an image.
    """
    roots = weights.sqrt()
    factor, info = torch.linalg.cholesky_ex(torch.eye(len(pull), dtype=pull.dtype) - roots[:, None] * pull * roots)
    return factor, bool(info) or float(factor.diagonal().square().min()) < _ROUNDING


def _refitted(turned: Turned, own: tuple[Tensor, Tensor, Tensor], layers: Sequence[_Layer]) -> Iterator[Tensor]:
    """Take a fold of more images than directions out of the normal equations, (R + 1) x (R + 1), and solve the rest.

    That is what (1 - H)^-1 becomes by the matrix inversion lemma (Woodbury, 1950).
    """
    rows, weights, _ = own
    ones = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], dim=1)
    weighted = ones * weights[:, None]
    without = torch.diag(torch.cat([turned.eigenvalues, turned.eigenvalues.new_ones(1)])) * len(turned.rows)
    without -= weighted.T @ ones
    for strength, weight, bias in layers:
        residuals = own[2] - rows @ weight.T.double() - bias.double()
        rest = without.clone()
        rest.diagonal()[:-1].add_(strength * len(turned.rows))
        factor, info = torch.linalg.cholesky_ex(rest)
        if info:
            return
        yield own[2] - residuals - ones @ torch.cholesky_solve(weighted.T @ residuals, factor)
