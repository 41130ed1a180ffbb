"""The average of several networks' answers. M networks, B images, K classes or values."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.types import Task


def averaged_outputs(task: Task, outputs: Tensor) -> Tensor:
    """Average what M networks give (M, B, K), as outputs of one network (B, K), float32 or finer.

    Probabilities are averaged, not logits: a network that is sure and wrong then cannot outvote all others (deep
    ensembles; Lakshminarayanan et al., 2017, arXiv 1612.01474). It is done on logarithms, so that no small probability
    becomes 0.

    Args:
        task: Classification: the logarithm of the mean probability, whose softmax is that mean. Several labels: the
            logit of the mean probability of each. Regression: the mean value.
        outputs: Logits, or values of one unit.
    """
    outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
    if task == "regression":
        return outputs.mean(dim=0)
    if task == "multilabel":  # the share of networks is the same on both sides, and drops out
        return F.logsigmoid(outputs).logsumexp(dim=0) - F.logsigmoid(-outputs).logsumexp(dim=0)
    return outputs.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(outputs))
