"""Fit what turns logits into calibrated probabilities, and keep it only where it does no harm. N images, K classes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tlearn.base.types import Task
from tlearn.models.calibration import AS_TRAINED, Calibration

# Wider than any network's need; a fit that ends here has found no use for its logits, or no fault in them.
LOWEST, HIGHEST = 0.01, 100.0
_MOST_ROWS = 10_000  # one number needs no more; 50,000 images of 1,000 classes took 13 s
_PRECISION = 1e-4  # of log(temperature): 0.01 %

# What is believed before the first image: log(temperature) is normal round 0, the share is exponential. Chosen on half
# of the scenarios of benchmarks/believe/calibration.py, where deviations from 0.5 to 1 differ by less than the noise.
_DEVIATION = 0.7
_MEAN_SHARE = 1 / 30
_STEP = 0.1  # of log(temperature)
_SHARES = (0.0, 0.003, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35)
_MOST_NUMBERS = 2_000_000  # rows times classes: they are looked at once for each temperature
_MOST_UNSURE = 20_000  # likewise, for each share and temperature
_MOST_GRID_ROWS = 4_000
_FOLDS = 10
_STANDARD_ERRORS = 1.0
_ROUNDING = 1e-4  # of a mean of float32, generously


def fit_calibration(task: Task, logits: Tensor, targets: Tensor) -> Calibration:
    """Return the calibration of held-out images, or `AS_TRAINED` where it does not surely gain.

    The two numbers are the most probable ones (maximum a posteriori) of temperature scaling with a uniform share
    (Zhang, Kailkhura and Han, 2020, arXiv 2003.07329): few images move them little, and the share takes up answers that
    are surely wrong, for else two or three of them decide the temperature. They are kept where the log loss of images
    that they were not fitted to, in ten folds, falls by more than its standard error. One image more counts whose class
    may be any: a few images that are all right do not ask for certainty.

    Args:
        task: Softmax of one class an image, or sigmoids of several labels; a regression has nothing to calibrate.
        logits: Of images that the network has not learned from (N, K).
        targets: Class numbers (N,) or shares (N, K); 0 and 1 (N, K) for several labels, NaN where it is unknown.
    """
    if task == "regression" or not len(logits) or not bool(logits.isfinite().all()):
        return AS_TRAINED
    most = max(1, min(_MOST_GRID_ROWS, _MOST_NUMBERS // logits.shape[1]))
    rows = torch.linspace(0, len(logits) - 1, min(len(logits), most)).long()
    logits, targets = logits[rows].cpu(), targets[rows].cpu()
    if bool((logits == logits[:, :1]).all()):
        return AS_TRAINED  # no class is preferred: nothing to scale
    losses, folds = _losses(task, logits, targets), _fold_numbers(targets)
    sums = _without_each(losses, folds)
    unsure = _losses_of_any_class(task, logits, sums)
    gains = _left_out_gains(losses, sums, unsure, folds)
    deviation = float(gains.std()) if len(gains) > 1 else math.inf
    if not float(gains.mean()) > _STANDARD_ERRORS * deviation / math.sqrt(len(gains)):
        return AS_TRAINED
    objective = sums[0] + unsure + _unlikely()
    share, place = _least(objective)
    return Calibration(math.exp(_refined(objective[share], place)), _SHARES[share])


def _temperatures() -> Tensor:
    """Return the logarithms that are tried, float64 (T,); 0 is one of them."""
    most = round(math.log(HIGHEST) / _STEP)
    return torch.arange(-most, most + 1, dtype=torch.float64) * _STEP


def _losses(task: Task, logits: Tensor, targets: Tensor, places: Tensor | None = None) -> Tensor:
    """Return the log loss of each image for each share and temperature, of those of these places, float32 (S, T, N)."""
    shares = torch.tensor(_SHARES, dtype=torch.float64)[:, None, None]
    outcomes = 2 if task == "multilabel" else logits.shape[1]
    exact, found = logits.double(), []
    tried = _temperatures()
    for log_temperature in (tried if places is None else tried[places]).tolist():
        scaled = exact / math.exp(log_temperature)
        if task == "multilabel":
            given = torch.cat([scaled.sigmoid(), (-scaled).sigmoid()], dim=1)
            weights = torch.cat([targets, 1 - targets], dim=1).nan_to_num(nan=0.0)
        elif targets.ndim == 2:
            given, weights = scaled.softmax(dim=1), targets
        else:
            given, weights = scaled.softmax(dim=1).gather(1, targets[:, None]), torch.ones(())
        # All shares at once, and in place: it is done in every epoch, and 93 times.
        mixed = (given * (1 - shares)).add_(shares / outcomes).clamp_min_(1e-300).log_().mul_(weights)
        found.append(mixed.sum(dim=2).neg_().float())
    return torch.stack(found, dim=1)


def _losses_of_any_class(task: Task, logits: Tensor, sums: Tensor) -> Tensor:
    """Return the mean log loss of an image like these whose classes are equally likely, where it matters, (S, T).

    It is at least the logarithm of the number of classes, so that most temperatures lie too high whatever it is. It is
    computed where a minimum, or its neighbour, may lie; elsewhere it is infinite.

    Args:
        task: As above.
        logits: (N, K).
        sums: Of the losses of all images, and without each fold, as `_without_each` returns them.
    """
    few = max(1, min(len(logits), _MOST_UNSURE // logits.shape[1]))
    logits = logits[torch.linspace(0, len(logits) - 1, few).long()]
    outcomes = 2 if task == "multilabel" else logits.shape[1]
    floor = logits.shape[1] * math.log(2) if task == "multilabel" else math.log(outcomes)
    found = torch.full(sums.shape[1:], math.inf)
    lowest = sums + _unlikely() + (floor - _ROUNDING)
    needed = lowest.amin(dim=1).argmin(dim=1)
    while len(needed):
        found[:, needed] = _losses(task, logits, torch.full_like(logits, 1 / outcomes), needed).mean(dim=2)
        least = (sums + _unlikely() + found).amin(dim=(1, 2))
        may_be = (lowest.amin(dim=1) <= least[:, None]).any(dim=0)
        is_least = torch.zeros_like(may_be)
        is_least[(sums + _unlikely() + found).amin(dim=1).argmin(dim=1)] = True
        beside = F.max_pool1d(is_least.float()[None], 3, stride=1, padding=1)[0].bool()
        needed = ((may_be | beside) & found[0].isinf()).nonzero().flatten()
    return found


def _unlikely() -> Tensor:
    """Return minus the logarithm of what is believed before the first image, but for a constant, float64 (S, T)."""
    return _temperatures().square() / (2 * _DEVIATION**2) + torch.tensor(_SHARES)[:, None] / _MEAN_SHARE


def _least(objective: Tensor) -> tuple[int, int]:
    """Return the places of share and temperature."""
    share, place = divmod(int(objective.argmin()), objective.shape[1])
    return share, place


def _refined(objective: Tensor, place: int) -> float:
    """Return log(temperature) at the vertex of the parabola through the least of (T,) and its neighbours."""
    tried = _temperatures()
    if not 0 < place < len(tried) - 1:
        return float(tried[place])
    before, least, after = (float(objective[place + step]) for step in (-1, 0, 1))
    bend = before - 2 * least + after
    return float(tried[place]) + (_STEP * (before - after) / (2 * bend) if bend > 0 else 0.0)


def _fold_numbers(targets: Tensor) -> Tensor:
    """Deal the images to at most ten folds, class by class, int64 (N,)."""
    labels = targets if targets.ndim == 1 else torch.zeros(len(targets), dtype=torch.long)
    numbers = torch.empty(len(labels), dtype=torch.long)
    numbers[labels.argsort(stable=True)] = torch.arange(len(labels)) % _FOLDS
    return numbers


def _without_each(losses: Tensor, folds: Tensor) -> Tensor:
    """Return the sums of the losses (S, T, N) of all images, and without each fold in turn, float64 (F + 1, S, T)."""
    exact = losses.double()
    whole, each = exact.sum(dim=2), exact @ F.one_hot(folds).double()
    return torch.cat([whole[None], whole - each.movedim(2, 0)])


def _left_out_gains(losses: Tensor, sums: Tensor, unsure: Tensor, folds: Tensor) -> Tensor:
    """Return by how much the log loss of each image falls by a calibration fitted without its fold, float64 (N,)."""
    raw = losses[0, losses.shape[1] // 2].double()
    gains = torch.zeros_like(raw)
    for fold, left in enumerate(sums[1:] if len(sums) > 2 else []):
        out = folds == fold
        share, place = _least(left + unsure + _unlikely())
        gains[out] = raw[out] - losses[share, place, out].double()
    return gains


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
    from scipy.optimize import brentq  # here: it takes 0.3 s, and what answers needs none

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
