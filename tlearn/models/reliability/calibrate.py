"""Fit what turns logits into calibrated probabilities. N images, K classes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.calibration import Calibration

# Wider than any network's need; a fit that ends here has found no use for its logits, or no fault in them.
LOWEST, HIGHEST = 0.01, 100.0
_MOST_ROWS = 10_000  # one number needs no more; 50,000 images of 1,000 classes took 13 s
_PRECISION = 1e-4  # of log(temperature): 0.01 %


def fit_calibration(task: Task, logits: Tensor, targets: Tensor) -> Calibration:
    """Return the calibration of images not trained on.

    Args:
        task: As in `fit_temperature`.
        logits: Of held-out images (N, K).
        targets: As in `fit_temperature`.
    """
    return Calibration(fit_temperature(task, logits, targets))


@torch.no_grad()
def fit_temperature(task: Task, logits: Tensor, targets: Tensor) -> float:
    """Return what logits should be divided by, so that the likelihood of images not trained on is largest.

    One number for all classes (Guo et al., 2017, arXiv 1706.04599): it moves probabilities, never the order of the
    classes. Every target gives ``1 / (N + 1)`` of its weight to all classes alike, as if one image of each had been
    seen, for else a few images that are all right would ask for certainty (Platt, 1999, does so for two classes).

    Args:
        task: Softmax of one class an image, or sigmoids of several labels; a regression has nothing to scale.
        logits: Of validation images (N, K).
        targets: Class numbers (N,) or shares (N, K); 0 and 1 (N, K) for several labels, NaN where it is unknown.

    Returns:
        The temperature from `LOWEST` to `HIGHEST`; 1 for a regression, without images, and where logits are not finite.
    """
    if task == "regression" or not len(logits) or not bool(logits.isfinite().all()):
        return 1.0
    rows = torch.linspace(0, len(logits) - 1, min(len(logits), _MOST_ROWS)).long()
    logits, targets = logits[rows].float(), targets[rows]
    wanted = _smoothed(task, logits, targets)

    def slope(log_temperature: float) -> float:
        """Return the derivative of the mean loss by ``1 / temperature``, which rises with ``1 / temperature``."""
        scaled = logits / math.exp(log_temperature)
        given = scaled.sigmoid() if task == "multilabel" else scaled.softmax(dim=1)
        return float(((given - wanted) * logits).nan_to_num(nan=0.0).sum(dtype=torch.float64))

    low, high = math.log(LOWEST), math.log(HIGHEST)
    at_low, at_high = slope(low), slope(high)
    if at_low == at_high == 0:
        return 1.0  # all logits are alike
    if at_low <= 0 or at_high >= 0:
        return LOWEST if at_low <= 0 else HIGHEST
    return math.exp(brentq(slope, low, high, xtol=_PRECISION))


def _smoothed(task: Task, logits: Tensor, targets: Tensor) -> Tensor:
    shares = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    rest = 1 / 2 if task == "multilabel" else 1 / logits.shape[1]
    return (shares * len(logits) + rest) / (len(logits) + 1)
