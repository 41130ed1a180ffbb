"""The loss of each image, whose mean is ``val/loss``. N images, K classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.losses import as_values


def image_losses(task: Task, output: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each image, float64 (N,); the mean is what `compute_loss` gives for all of them.

    Args:
        task: Which loss.
        output: Logits (N, K), or values (N, K).
        targets: Class numbers (N,); 0, 1 and NaN (N, K) for several labels, of which unknown ones (NaN) do not count;
            values (N,) or (N, K), in the unit of ``output``.
    """
    output = output.double()
    if task == "regression":
        return (output - as_values(targets, output).double()).square().mean(dim=1)
    if task == "classification":
        return F.cross_entropy(output, targets, reduction="none")
    known = ~targets.isnan()
    wanted = targets.nan_to_num().double()
    sums = F.binary_cross_entropy_with_logits(output, wanted, weight=known.double(), reduction="none").sum(dim=1)
    return sums * (len(sums) / known.sum().clamp_min(1))
