"""Solve a linear head in closed form or by L-BFGS, for many strengths of the penalty. N images, D features, K classes.

The features are centred, scaled to variance 1 on average, and rotated into the eigenvectors of their covariance. In
this basis ridge regression is a division. Logistic regression is well conditioned: if all classes are equally likely,
its Hessian is (K - 1) / K^2 times the covariance. Scaled by that, L-BFGS needs 10 to 20 steps instead of hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
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

Solver = Literal["lbfgs", "ridge"]


class SolvedHead(NamedTuple):
    """A linear layer, and how good it is.

    Attributes:
        weight: (K, D).
        bias: (K,).
        strength: The penalty with the lowest validation loss, for features of variance 1 on average.
        val_loss: Mean loss on validation.
        factor: What made logits of the outputs of ridge regression; 1 for any other head.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    val_loss: float
    factor: float = 1.0


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
    solver: Solver = "lbfgs",
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    turned: Turned | None = None,
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
        turned: The training features as `turn_weighted` gives them, where they are needed again.
    """
    targets = wanted_of(task, train[1], num_classes, label_smoothing)
    turned = turn_weighted(*train, class_weights) if turned is None else turned
    is_ridge = task == "regression" or solver == "ridge"
    best: SolvedHead | None = None
    path = (ridge_path if is_ridge else _logistic_path)(turned, targets)
    for strength, weight, bias in tracked(path, "solving the head", len(STRENGTHS)):
        weight, bias = turned.back(weight, bias)
        factor = 1.0
        if is_ridge and task == "classification":
            factor = best_factor(val[0] @ weight.T + bias, val[1])
            weight, bias = weight * factor, bias * factor
        loss = float(compute_loss(task, val[0] @ weight.T + bias, val[1]))
        if best is None or loss < best.val_loss:
            best = SolvedHead(weight, bias, strength, loss, factor)
    assert best is not None
    return best


def wanted_of(task: Task, targets: Tensor, num_classes: int, label_smoothing: float = 0.0) -> Tensor:
    """Return what the head should give, float32 (N, K): shares of the classes, or values."""
    if task != "classification":
        return targets.float()
    return F.one_hot(targets, num_classes).float() * (1 - label_smoothing) + label_smoothing / num_classes


def turn_weighted(features: Tensor, targets: Tensor, class_weights: Tensor | None) -> Turned:
    """Turn features (N, D) of which each class has its weight, (K,); see `turn`."""
    return turn(features, torch.ones(len(features)) if class_weights is None else class_weights.cpu()[targets])


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
    for strength in STRENGTHS:  # from the strongest down: each solution is a good start for the next
        scale = curvatures(turned, classes, strength).rsqrt()
        layer = minimise(partial(_logistic_loss, turned, wanted, strength), layer, scale)
        yield strength, layer[:, :-1], layer[:, -1]


def curvatures(turned: Turned, classes: int, strength: float) -> Tensor:
    """Return the curvature of logistic regression along each direction and the bias (R + 1,), of classes alike."""
    curvature = (classes - 1) / classes**2
    return torch.cat([curvature * turned.eigenvalues + strength, torch.tensor([curvature])])


@torch.no_grad()
def minimise(loss_of: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, scale: Tensor) -> Tensor:
    """Return the layer, float64 (..., R + 1), of the lowest loss, by L-BFGS.

    Args:
        loss_of: Gives loss and gradient of a layer.
        start: The first layer.
        scale: Along each direction, what makes the curvature about 1, (R + 1,).
    """
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
        loss, gradient = loss_of(scaled.detach() * scale)
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


def best_factor(outputs: Tensor, targets: Tensor) -> float:
    """Return the factor that makes logits of the outputs of ridge regression (N, K), by their loss on targets (N,)."""
    factors = torch.logspace(-1, 3, 121)
    losses = torch.stack([F.cross_entropy(outputs * factor, targets) for factor in factors])
    return float(factors[losses.argmin()])
