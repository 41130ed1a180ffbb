"""Solve a linear head in closed form or by L-BFGS, for many strengths of the penalty. N images, D features, K classes.

The features are centred, scaled to variance 1 on average, and rotated into the eigenvectors of their covariance. In
this basis ridge regression is a division. Logistic regression is well conditioned: if all classes are equally likely,
its Hessian is (K - 1) / K^2 times the covariance. Scaled by that, L-BFGS needs 10 to 20 steps instead of hundreds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.progress import tracked
from tlearn.base.types import Task
from tlearn.models.losses import compute_loss
from tlearn.training.strategies.alike_features import are_alike

# The penalty on the squared weights; the mean loss is about 1. A good choice is worth more than exact convergence.
STRENGTHS = tuple(10.0**power for power in range(1, -8, -1))
_TOLERANCE = 3e-4  # on the scaled gradient: within 1e-5 of the least loss, on 50,000 x 512 features
_MOST_STEPS = 300


class SolvedHead(NamedTuple):
    """A linear layer, and how good it is.

    Attributes:
        weight: (K, D).
        bias: (K,).
        strength: The penalty with the lowest validation loss, for features of variance 1 on average.
        val_loss: Mean loss on validation.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    val_loss: float


class Turned(NamedTuple):
    """Features in the basis of their covariance, of rank R: the smaller of N and D.

    Attributes:
        rows: float32 (N, R).
        eigenvalues: float64 (R,), the variance along each direction.
        basis: float32 (D, R).
        mean: Mean of the features (D,), which was subtracted.
        scale: The number that the features were divided by.
        weights: Weight of each image (N,), 1 on average.
    """

    rows: Tensor
    eigenvalues: Tensor
    basis: Tensor
    mean: Tensor
    scale: Tensor
    weights: Tensor

    def turned(self, features: Tensor) -> Tensor:
        """Return other features (M, D) in this basis, (M, R)."""
        return ((features - self.mean) / self.scale) @ self.basis

    def back(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer, (K, D) and (K,), for features in their original basis."""
        weight = weight.float() @ self.basis.T / self.scale
        return weight, bias.float() - weight @ self.mean


def solve_head(
    task: Task,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    num_classes: int,
    solver: Literal["lbfgs", "ridge"] = "lbfgs",
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> SolvedHead:
    """Solve the head for every strength, and return the one with the lowest loss on ``val``.

    Args:
        task: A regression is always solved by ridge regression.
        train: Features, float32 (N, D), and class numbers (N,) or values (N, K), on the CPU.
        val: The same for validation.
        num_classes: K.
        solver: Logistic regression by L-BFGS, or ridge regression on one-hot classes. The outputs of the latter become
            logits by one factor, the best on validation.
        class_weights: Weight of each class (K,) in the loss.
        label_smoothing: Share of each target spread over all classes.
    """
    targets = train[1].float()
    if task == "classification":
        targets = F.one_hot(train[1], num_classes).float() * (1 - label_smoothing) + label_smoothing / num_classes
    turned = turn(train[0], torch.ones(len(targets)) if class_weights is None else class_weights.cpu()[train[1]])
    is_ridge = task == "regression" or solver == "ridge"
    best: SolvedHead | None = None
    path = (ridge_path if is_ridge else _logistic_path)(turned, targets)
    for strength, weight, bias in tracked(path, "solving the head", len(STRENGTHS)):
        weight, bias = turned.back(weight, bias)
        if is_ridge and task == "classification":
            factor = _best_factor(val[0] @ weight.T + bias, val[1])
            weight, bias = weight * factor, bias * factor
        loss = float(compute_loss(task, val[0] @ weight.T + bias, val[1]))
        if best is None or loss < best.val_loss:
            best = SolvedHead(weight, bias, strength, loss)
    assert best is not None
    return best


def turn(features: Tensor, weights: Tensor) -> Turned:
    """Centre features (N, D), scale them to variance 1 on average, and rotate them; images have weights (N,).

    Features that differ by rounding alone become 0, so any layer on them is its bias.
    """
    # One scale for all features. A scale for each would give features of low variance the largest weights, and through
    # them the first steps of a fine-tuning would damage the backbone.
    weights = weights / weights.mean()
    mean = weights @ features / len(features)
    rows = torch.zeros_like(features) if are_alike(features) else features - mean
    scale = (weights @ rows.square()).mean().div(len(rows)).sqrt().clamp_min(1e-6)
    rows /= scale
    eigenvalues, basis = (_from_products_of_rows if len(rows) < rows.shape[1] else _from_covariance)(rows, weights)
    return Turned(rows @ basis, eigenvalues, basis, mean, scale, weights)


def _from_covariance(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    eigenvalues, basis = torch.linalg.eigh(((rows * weights[:, None]).T @ rows).double() / len(rows))
    return eigenvalues.clamp_min(0), basis.float()


def _from_products_of_rows(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the directions that the images span, if there are fewer images than features."""
    weighted = (rows * weights.sqrt()[:, None]).double()
    eigenvalues, vectors = torch.linalg.eigh(weighted @ weighted.T / len(rows))
    kept = eigenvalues > 1e-9 * eigenvalues[-1].clamp_min(1e-12)  # below: rounding
    basis = weighted.T @ vectors[:, kept] / (eigenvalues[kept] * len(rows)).sqrt()
    return eigenvalues[kept], basis.float()


def ridge_path(turned: Turned, targets: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Yield each strength with its layer, (K, R) and (K,), for targets (N, K)."""
    mean = turned.weights @ targets / len(targets)
    moments = ((targets - mean) * turned.weights[:, None]).T @ turned.rows / len(targets)
    for strength in STRENGTHS:
        yield strength, moments.double() / (turned.eigenvalues + strength), mean


def _logistic_path(turned: Turned, targets: Tensor) -> Iterator[tuple[float, Tensor, Tensor]]:
    classes, width = targets.shape[1], turned.rows.shape[1]
    wanted, layer = targets.T.contiguous(), torch.zeros(classes, width + 1, dtype=torch.float64)
    curvature = (classes - 1) / classes**2
    for strength in STRENGTHS:  # from the strongest down: each solution is a good start for the next
        bound = torch.cat([curvature * turned.eigenvalues + strength, torch.tensor([curvature])])
        layer = _minimise(turned, wanted, strength, layer, bound.rsqrt())
        yield strength, layer[:, :-1], layer[:, -1]


@torch.no_grad()
def _minimise(turned: Turned, wanted: Tensor, strength: float, start: Tensor, scale: Tensor) -> Tensor:
    scaled = (start / scale).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [scaled],
        max_iter=_MOST_STEPS,
        tolerance_grad=_TOLERANCE,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss_and_gradient() -> float:
        layer = scaled.detach() * scale
        loss, gradient = _logistic_loss(turned, wanted, strength, layer)
        scaled.grad = gradient * scale
        return loss

    optimizer.step(loss_and_gradient)
    return scaled.detach() * scale


def _logistic_loss(turned: Turned, wanted: Tensor, strength: float, layer: Tensor) -> tuple[float, Tensor]:
    """Return loss and gradient (K, D + 1), by hand: autograd multiplies in an order that takes twice as long."""
    weight, bias = layer[:, :-1], layer[:, -1]
    # As (K, N): a softmax over rows of ten takes fifteen times as long
    log_shares = F.linear(turned.rows, weight.float(), bias.float()).T.contiguous().log_softmax(dim=0)
    loss = -float((log_shares * wanted).sum(dim=0, dtype=torch.float64) @ turned.weights.double()) / wanted.shape[1]
    rest = log_shares.exp_().sub_(wanted).mul_(turned.weights)
    gradient = (rest @ turned.rows).double() / wanted.shape[1] + strength * weight
    penalty = strength / 2 * float(weight.square().sum())
    return loss + penalty, torch.cat([gradient, rest.mean(dim=1, keepdim=True).double()], dim=1)


def _best_factor(outputs: Tensor, targets: Tensor) -> float:
    factors = torch.logspace(-1, 3, 121)
    losses = torch.stack([F.cross_entropy(outputs * factor, targets) for factor in factors])
    return float(factors[losses.argmin()])
