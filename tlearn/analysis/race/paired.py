"""What two networks differ by on the same images, with its error. N images, K classes or values. Pure."""

from __future__ import annotations

from math import floor, inf, isfinite, log10, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.losses import as_classes, as_values

Interval = tuple[float, float]
LEVEL = 0.9  # of the intervals here


def image_losses(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each image, float32 (N,), of which training minimises the mean.

    Args:
        task: Cross-entropy; binary cross-entropy over an image's known labels (0 where none is known); squared error.
        outputs: Logits or values (N, K).
        targets: See `tlearn.models.losses.compute_loss`.
    """
    outputs = outputs.float()
    if task == "regression":
        return (outputs - as_values(targets, outputs)).square().mean(dim=1)
    if task == "multilabel":
        known = (~targets.isnan()).float()
        losses = F.binary_cross_entropy_with_logits(outputs, targets.float().nan_to_num(), known, reduction="none")
        return losses.sum(dim=1) / known.sum(dim=1).clamp_min(1)
    return F.cross_entropy(outputs, targets, reduction="none")


def image_scores(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the score of each image, float32 (N,); higher is better.

    Args:
        task: 1 where the class is right, else 0; the share of its known labels that are right; less the absolute error.
        outputs: Logits or values (N, K).
        targets: See `tlearn.models.losses.compute_loss`.
    """
    outputs = outputs.float()
    if task == "regression":
        return -(outputs - as_values(targets, outputs)).abs().mean(dim=1)
    if task == "multilabel":
        known = ~targets.isnan()
        right = ((outputs > 0) == (targets > 0.5)) & known
        return right.sum(dim=1) / known.sum(dim=1).clamp_min(1)
    return (outputs.argmax(dim=1) == as_classes(targets)).float()


def loss_and_score(task: Task, outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """Return the mean of `image_losses`, and what is shown beside it; of scores, higher is better.

    Accuracy, or less the mean absolute error. Of several labels the mean average precision: a network that never names
    a rare label has most labels right.
    """
    loss = float(image_losses(task, outputs, targets).mean())
    if task == "multilabel":
        from tlearn.analysis.stage_probe import score  # imports what no other fit needs

        return loss, score(task, outputs.float(), targets)
    return loss, float(image_scores(task, outputs, targets).mean())


def loss_text(value: float) -> str:
    """Say a loss with 3 decimals, with more of them where it is so small that those would hide it."""
    decimals = max(3, 1 - floor(log10(abs(value)))) if value and isfinite(value) else 3
    return f"{value:.{decimals}f}" if decimals < 9 else f"{value:.1e}"


def standard_error(differences: Tensor) -> float:
    """Return the standard error of the mean of paired differences (N,); infinite for a single image."""
    count = len(differences)
    return float(differences.double().std()) / sqrt(count) if count > 1 else inf


def paired_interval(differences: Tensor) -> Interval:
    """Return the 90 % interval of the mean of paired differences (N,).

    Differences of right and wrong (-1, 0, 1) get the interval of Agresti and Min (2005, Statistics in Medicine 24), who
    add half an image to each kind of pair: also where few images or none differ, it has a width. Others get Student's.
    Images are taken as independent.
    """
    values = differences.double()
    count = len(values)
    if torch.isin(values, torch.tensor([-1.0, 0.0, 1.0], dtype=values.dtype)).all():
        more, less, total = float((values > 0).sum()) + 0.5, float((values < 0).sum()) + 0.5, count + 2
        middle = (more - less) / total
        half = _NORMAL * sqrt(max(0.0, more + less - (more - less) ** 2 / total)) / total
        return max(-1.0, middle - half), min(1.0, middle + half)
    middle = float(values.mean())
    if count < 2:
        return -inf, inf
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * standard_error(values)
    return middle - half, middle + half


_NORMAL = 1.644854  # the normal distribution's 95 % point
