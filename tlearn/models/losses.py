"""What training minimises, and what validation reports. B images, K classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.base.types import Task
from tlearn.models.calibration import Calibration
from tlearn.models.options import LossOptions


class Objective(nn.Module):
    """What training minimises; validation reports the same loss without smoothing and class weights.

    Attributes:
        task: Which loss.
        options: Label smoothing and class weights.
        class_weights: Weight of each class, float32 (K,), 1 until they are balanced; ``None`` without weights.
    """

    class_weights: Tensor | None

    def __init__(self, task: Task, options: LossOptions, num_classes: int) -> None:
        super().__init__()
        self.task, self.options, self._num_classes = task, options, num_classes
        listed = options.class_weights if isinstance(options.class_weights, list) else [1.0] * num_classes
        # In place from the start: weight averaging copies the module before the classes are counted.
        weights = torch.tensor(listed, dtype=torch.float) if options.class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar.

        Args:
            output: Logits (B, K), or values (B, K).
            wanted: Targets, see `compute_loss`.
        """
        return compute_loss(self.task, output, wanted, self.options.label_smoothing, self.class_weights)

    @property
    def is_balanced(self) -> bool:
        """Tell whether the weights are those of the training images, which `balance` counts."""
        return self.options.class_weights == "balanced"

    def balance(self, labels: Tensor) -> None:
        """Weigh every class by its number of images.

        Args:
            labels: Class numbers of all training images (N,).
        """
        if self.class_weights is not None:
            self.class_weights.copy_(balanced_class_weights(labels, self._num_classes))


def compute_loss(
    task: Task,
    output: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the mean loss: cross-entropy, binary cross-entropy for several labels, squared error for regression.

    Args:
        task: Which of the three.
        output: Logits (B, K), or values (B, K).
        targets: Class numbers (B,) or shares (B, K); 0, 1 and NaN (B, K) for several labels, of which unknown ones
            (NaN) are left out of the mean; values (B,), (B, 1) or (B, K), of which (B,) and (B, 1) are never broadcast
            against each other: torch would only warn, and be wrong.
        label_smoothing: Share of every target that is spread over all classes (Szegedy et al., 2016, arXiv 1512.00567).
        class_weights: Weight of each class (K,); the mean is over weights, or over images for shares, as in torch.
    """
    if task == "regression":
        return F.mse_loss(output.float(), as_values(targets, output))
    if task == "multilabel":
        return _known_cross_entropy(output.float(), targets.float())
    weights = None if class_weights is None else class_weights.float()
    return F.cross_entropy(output.float(), targets, weight=weights, label_smoothing=label_smoothing)


def _known_cross_entropy(output: Tensor, targets: Tensor) -> Tensor:
    known = (~targets.isnan()).float()
    loss = F.binary_cross_entropy_with_logits(output, targets.nan_to_num(), weight=known)
    return loss * (known.numel() / known.sum().clamp_min(1))  # exactly 1 where all are known


def known_share(task: Task, targets: Tensor) -> Tensor:
    """Return what each image counts in a mean loss, float32 (B,): its share of known labels; 1 for other tasks.

    Args:
        task: Several labels alone can be unknown.
        targets: As in `compute_loss`.
    """
    if task != "multilabel":
        return torch.ones(len(targets), device=targets.device)
    return (~targets.isnan()).float().mean(dim=1)


def answers_of(task: Task, output: Tensor, calibration: Calibration) -> Tensor:
    """Turn logits (B, K) into probabilities, or leave values (B, K) as they are.

    Args:
        task: One class an image, any number of them, or a value.
        output: What the head gives.
        calibration: What turns logits into probabilities.
    """
    if task == "regression":
        return output
    logits, share = output / calibration.temperature, calibration.uniform_share
    given = logits.sigmoid() if task == "multilabel" else logits.softmax(dim=1)
    outcomes = 2 if task == "multilabel" else output.shape[1]
    return given * (1 - share) + share / outcomes if share else given


def as_values(targets: Tensor, output: Tensor) -> Tensor:
    """Give regression targets (B,), (B, 1) or (B, K) the shape of the output (B, 1) or (B, K)."""
    return targets.float().view_as(output)


def as_classes(targets: Tensor) -> Tensor:
    """Turn class shares (B, K) of mixed images into the class with the largest share (B,)."""
    return targets.argmax(dim=1) if targets.ndim == 2 else targets


def balanced_class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weigh every class by N / (K * its images), as scikit-learn's ``balanced``; the mean over all images is 1.

    Args:
        labels: Class numbers (N,); every class has at least one, or its weight is 0.
        num_classes: K.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    weights = len(labels) / (num_classes * counts)
    return weights.where(counts > 0, 0.0)


@torch.no_grad()
def pull_towards(parameters: Mapping[str, Tensor], start: Mapping[str, Tensor], strength: float) -> None:
    """Add the gradient of ``strength / 2 * |w - w0|^2`` to that of every parameter that has one: L2-SP.

    The decay pulls towards the pretrained weights instead of towards zero (Li, Grandvalet and Davoine, 2018,
    arXiv 1802.01483). Added to the gradient, it leaves the logged loss what it is without.

    Args:
        parameters: Name to parameter w.
        start: Name to starting value w0.
        strength: The paper's alpha.
    """
    for name, w in parameters.items():
        if w.grad is not None:
            w.grad.add_(w - start[name], alpha=strength)
