"""Answers for every training image by a head that has seen neither it nor its group, of a head that is solved.

Letters: N images, D features, R directions of the turned features, K outputs, F folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.types import Task
from tlearn.data.images.folds import fold_numbers
from tlearn.training.strategies.head_solver import (
    STRENGTHS,
    SolvedHead,
    Solver,
    Turned,
    curvatures,
    minimise,
    wanted_of,
)
from tlearn.training.strategies.left_out import folds_from, folds_of, left_out_at

MOST_FOLDS = 10  # of refits: with more, the rest is hardly larger
_MOST_NUMBERS = 2**24  # of answers that the folds solved together have: 64 MB
_FIRM = (
    0.1  # the strength from which on the start makes no difference: at most 0.004 of a probability, below 0.1 and more
)
_SEED = 0  # of the folds, apart from the run's: a run with another seed has the same


class OutOfFold(NamedTuple):
    """Answers out of fold.

    Attributes:
        logits: float32 (N, K), or values; NaN for an image that no head answers: its class lives in its fold alone.
        folds: int64 (N,), the fold of each image, from 0.
    """

    logits: Tensor
    folds: Tensor

    @property
    def answered(self) -> Tensor:
        """Tell which images have an answer, bool (N,)."""
        return ~self.logits.isnan().any(dim=1)


def out_of_fold(
    task: Task,
    turned: Turned,
    targets: Tensor,
    groups: Tensor | None,
    solver: Solver,
    solved: SolvedHead,
    label_smoothing: float = 0.0,
) -> OutOfFold | None:
    """Answer for each training image with a head that is solved, as this one was, without its fold.

    Ridge regression does so in closed form, one group or one image of each class at a time. Logistic regression is
    fitted again, at most `MOST_FOLDS` times, all at once. The strength is that of the head, chosen on validation.

    Args:
        task: A regression or one class an image.
        turned: The features of the training images, weighted as `solve_head` weighs them.
        targets: Their class numbers (N,) or values (N, K).
        groups: int64 (N,), which images are never divided; ``None`` divides any.
        solver: What solved the head.
        solved: The head.
        label_smoothing: See `solve_head`.

    Returns:
        The answers; ``None`` where fewer than two groups or images are there.
    """
    num_classes = len(solved.bias)
    numbers = fold_numbers_for(task, targets, groups, num_classes, solver)
    if numbers is None:
        return None
    wanted, folds = wanted_of(task, targets, num_classes, label_smoothing), folds_from(numbers)
    if solver == "ridge":
        logits = left_out_at(turned, wanted, folds, solved.strength) * solved.factor
    else:
        logits = _logistic(turned, wanted, folds, solved.strength)
    if task == "classification":
        logits[unanswered(targets, folds, num_classes)] = torch.nan
    return OutOfFold(logits, numbers)


def fold_numbers_for(
    task: Task, targets: Tensor, groups: Tensor | None, num_classes: int, solver: Solver
) -> Tensor | None:
    """Deal images out to the folds of `out_of_fold`, int64 (N,); ``None`` where there is nothing to divide."""
    labels = targets if task == "classification" else torch.zeros(len(targets), dtype=torch.int64)
    units = len(targets) if groups is None else len(groups.unique())
    if units < 2:
        return None
    if solver == "ridge" and groups is None:
        numbers = torch.empty(len(targets), dtype=torch.int64)
        for number, fold in enumerate(folds_of(task, targets, num_classes)):
            numbers[fold] = number
        return numbers
    if groups is not None and (solver == "ridge" or units <= MOST_FOLDS):
        codes: Tensor = torch.unique(groups, return_inverse=True)[1]
        return codes
    return fold_numbers(labels, groups, min(MOST_FOLDS, units), _SEED)


def unanswered(targets: Tensor, folds: Sequence[Tensor], num_classes: int) -> Tensor:
    """Return the images (positions) whose class lives in their fold alone: no head without it knows the class."""
    counts = torch.bincount(targets, minlength=num_classes)
    lonely = [fold[(torch.bincount(targets[fold], minlength=num_classes) == counts)[targets[fold]]] for fold in folds]
    return torch.cat(lonely)


def _logistic(turned: Turned, wanted: Tensor, folds: Sequence[Tensor], strength: float) -> Tensor:
    """Refit without each fold, and answer for it, (N, K).

    Each begins from nothing; where the penalty is weak, at the strongest one, as the solver does. From the solution of
    all images it would be
    quicker, and wrong: where the penalty is weak, it has learned a fold so well that nothing pulls it away again.
    """
    outputs = torch.empty_like(wanted)
    together = max(1, _MOST_NUMBERS // wanted.numel())
    for start in range(0, len(folds), together):
        part = folds[start : start + together]
        for fold, layer in zip(part, _refitted(turned, wanted, part, strength), strict=True):
            outputs[fold] = turned.rows[fold] @ layer[:, :-1].float().T + layer[:, -1].float()
    return outputs


def _refitted(turned: Turned, wanted: Tensor, folds: Sequence[Tensor], strength: float) -> Tensor:
    """Solve without each of these folds, float64 (F, K, R + 1).

    All at once: the problems are so alike that L-BFGS needs no more steps for all than for one, and the product of the
    features with one wide matrix is several times as fast as with many narrow ones.
    """
    kept = turned.weights.repeat(len(folds), 1)
    for number, fold in enumerate(folds):
        kept[number, fold] = 0
    classes, by_class = wanted.shape[1], wanted.T.contiguous()
    layers = torch.zeros(len(folds), classes, turned.rows.shape[1] + 1, dtype=torch.float64)
    for each in _path_to(strength):
        scale = curvatures(turned, classes, each).rsqrt()
        layers = minimise(partial(_loss_of_all, turned.rows, by_class, kept, each), layers, scale)
    return layers


def _path_to(strength: float) -> Iterator[float]:
    if strength >= _FIRM:
        yield strength
    else:
        yield from (each for each in STRENGTHS if each >= strength)


def _loss_of_all(rows: Tensor, wanted: Tensor, kept: Tensor, strength: float, layers: Tensor) -> tuple[float, Tensor]:
    """Return the sum of the losses and its gradient (F, K, R + 1), for wanted (K, N) and weights of images (F, N)."""
    count, weight = len(rows), layers[..., :-1]
    flat = layers.flatten(0, 1).float()
    logits = torch.addmm(flat[:, -1:], flat[:, :-1], rows.T)
    log_shares = logits.view(*layers.shape[:2], count).log_softmax(dim=1)
    loss = -float(((log_shares * wanted).sum(dim=1) * kept).sum(dtype=torch.float64)) / count
    rest = log_shares.exp_().sub_(wanted).mul_(kept[:, None])
    of_weights = (rest.flatten(0, 1) @ rows).view_as(weight).double() / count + strength * weight
    penalty = strength / 2 * float(weight.square().sum())
    return loss + penalty, torch.cat([of_weights, rest.mean(dim=2, keepdim=True).double()], dim=2)
