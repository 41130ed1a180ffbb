"""Whether a network is worth training from scratch: a head on random weights comes near the best one. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tlearn.analysis.race.paired import image_losses, standard_error
from tlearn.base.types import Task

# Standard errors of the paired difference by which the loss of the head on random weights may be above the best head's.
# One, as in all comparisons of a race, until the benchmark of the choice has settled it.
NEAR = 1.0


@dataclass(frozen=True)
class Nearness:
    """How a head on random weights differs from the best head, on the same validation images.

    Attributes:
        loss: Its mean loss less that of the best head: above 0 it is worse.
        error: The standard error of that.
    """

    loss: float
    error: float

    @property
    def is_near(self) -> bool:
        """Tell whether training from scratch is worth a try; a single image tells nothing, and diverged is not near."""
        return self.error < float("inf") and self.loss <= NEAR * self.error


def nearness(task: Task, random: Tensor, best: Tensor, targets: Tensor) -> Nearness:
    """Compare a head on random weights with the best head.

    Args:
        task: Decides on the loss of an image.
        random: What the former gives on the validation images (N, K): logits, or values.
        best: What the latter gives.
        targets: Of these images, see `tlearn.models.losses.compute_loss`.
    """
    differences = image_losses(task, random, targets) - image_losses(task, best, targets)
    return Nearness(float(differences.mean()), standard_error(differences))
