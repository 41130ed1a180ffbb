"""Solve the linear head on frozen features before the first step. N images, D features, K classes.

The first half of LP-FT (Kumar et al., 2022, arXiv 2202.10054): a fine-tuning that starts from a random head first
spoils the features it was given.
"""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from tlearn.models import TransferModule, compute_loss
from tlearn.strategies.features import run_over_split
from tlearn.types import Task

log = logging.getLogger(__name__)

# Inverse strengths of the penalty on features of variance 1 on average; to choose is worth more than to converge.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_ITERATIONS = 50


class SolvedHead(NamedTuple):
    """A linear layer and what it is worth.

    Attributes:
        weight: (K, D).
        bias: (K,).
        strength: The inverse strength of the penalty that validation liked best.
        val_loss: Mean loss on validation.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    val_loss: float


def solve_head(
    task: Task,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    class_weights: Tensor | None = None,
) -> SolvedHead:
    """Fit scikit-learn's logistic regression (or ridge regression) for several strengths and keep the best on ``val``.

    Args:
        task: Which of the two.
        train: Features, float32 (N, D), and class numbers (N,) or values (N, 1).
        val: The same for validation.
        class_weights: Weight of each class (K,) in the loss.
    """
    # One scale for all features: a scale each would give the quietest of them the largest weights, through which the
    # first steps of a fine-tuning tear the backbone apart.
    mean, scale = train[0].mean(dim=0), train[0].var(dim=0, correction=0).mean().sqrt().clamp_min(1e-6)
    features = ((train[0] - mean) / scale).numpy()
    best: SolvedHead | None = None
    for strength in _STRENGTHS:
        weight, bias = _fit(task, features, train[1], strength, class_weights)
        weight = weight / scale  # back to features as they are
        bias = bias - weight @ mean
        loss = float(compute_loss(task, val[0] @ weight.T + bias, val[1]))
        if best is None or loss < best.val_loss:
            best = SolvedHead(weight, bias, strength, loss)
    assert best is not None
    return best


def _fit(
    task: Task, features: Any, targets: Tensor, strength: float, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    # Here, not above: importing scikit-learn takes 0.4 s that only this option needs.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "regression":
        ridge = Ridge(alpha=1 / strength).fit(features, targets.flatten().numpy())
        return torch.from_numpy(ridge.coef_).float()[None], torch.tensor([ridge.intercept_]).float()
    weights = None if class_weights is None else dict(enumerate(class_weights.tolist()))
    solver = LogisticRegression(C=strength, max_iter=_ITERATIONS, class_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits do not matter: fine-tuning follows
        solver.fit(features, targets.numpy())
    weight, bias = torch.from_numpy(solver.coef_).float(), torch.from_numpy(solver.intercept_).float()
    if len(weight) == 1:  # two classes: the solver gives the difference of their logits
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight, bias


class HeadProbeCallback(Callback):
    """Put the solved head into the network before the first step; a resumed run has it already."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve it and say what it reaches."""
        assert isinstance(pl_module, TransferModule)
        if trainer.global_step > 0:
            return
        start = time.perf_counter()
        layer = next(part for part in pl_module.head.modules() if isinstance(part, nn.Linear))
        train, val = (run_over_split(trainer, pl_module, split, pl_module.features) for split in ("train", "val"))
        solved = solve_head(pl_module.task, train, val, pl_module.class_weights_tensor)
        with torch.no_grad():
            layer.weight.copy_(solved.weight)
            layer.bias.copy_(solved.bias)
        outputs = val[0] @ solved.weight.T + solved.bias
        reached = f"val/loss {solved.val_loss:.4f}"
        if pl_module.task == "classification":
            reached += f"  val/acc {(outputs.argmax(dim=1) == val[1]).float().mean():.4f}"
        log.info("head solved on frozen features: %s  %.1f s", reached, time.perf_counter() - start)
