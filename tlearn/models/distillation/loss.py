"""What a student's loss makes of a teacher's answer. B images, K classes, labels or values."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.calibration import Calibration


def calibrated_logits(task: Task, output: Tensor, calibration: Calibration) -> Tensor:
    """Return logits (B, K), float32, whose softmax, or sigmoid, is the calibrated answer.

    Args:
        task: One class an image, or any number of labels.
        output: Logits as the head gives them.
        calibration: What turns these into the answer.
    """
    logits, uniform = output.float() / calibration.temperature, calibration.uniform_share
    if task == "multilabel":
        if not uniform:
            return logits
        return _mixed(F.logsigmoid(logits), uniform, 2) - _mixed(F.logsigmoid(-logits), uniform, 2)
    return _mixed(logits.log_softmax(dim=1), uniform, logits.shape[1])


def _mixed(logarithms: Tensor, uniform: float, outcomes: int) -> Tensor:
    """Return the logarithms of probabilities of which all outcomes share a part alike."""
    if not uniform:
        return logarithms
    floor = torch.full_like(logarithms, math.log(uniform / outcomes))
    return floor if uniform == 1 else torch.logaddexp(logarithms + math.log1p(-uniform), floor)


def teacher_loss(task: Task, output: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return how far a student is from its teacher, a scalar: the mean over images, of labels and values also over K.

    For classes it is the Kullback-Leibler divergence of the student's softened probabilities from the teacher's, times
    the square of the temperature, so that its gradient stays as large as that of the labels' loss (Hinton, Vinyals and
    Dean, 2015, arXiv 1503.02531). For several labels it is that of each label, for values the squared error.

    Args:
        task: Which of the three.
        output: What the student gives, (B, K): logits, or values in its unit.
        taught: What the teacher says in its place, (B, K): calibrated logits, or values in the student's unit.
        temperature: What both logits are divided by; values have none.
    """
    output, taught = output.float(), taught.float()
    if task == "regression":
        return F.mse_loss(output, taught)
    own, wanted = output / temperature, taught / temperature
    if task == "multilabel":
        yes = wanted.sigmoid() * (F.logsigmoid(wanted) - F.logsigmoid(own))
        no = (-wanted).sigmoid() * (F.logsigmoid(-wanted) - F.logsigmoid(-own))
        return (yes + no).mean() * temperature**2
    divergence = F.kl_div(own.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True)
    return divergence * temperature**2
