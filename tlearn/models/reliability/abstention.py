"""When to say "unknown": the confidence down to which answers are right as often as was promised.

N held-out pictures, K classes. The confidence of an answer is its probability.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.models.reliability.held_out import check_finite, check_share

Numbers = NDArray[np.float64]


class Threshold(NamedTuple):
    """From which confidence on answers are given, and what a report says of it.

    Attributes:
        confidence: Answers at least this sure are given; ``None`` if no confidence keeps the promise.
        min_accuracy: What was asked for.
        share: Share of the held-out pictures that are answered.
        accuracy: Accuracy of these; NaN if none is.
        bound: Lower bound of the accuracy of the answered ones among new pictures (a single one, Clopper and Pearson,
            1934, or Hoeffding's for groups); at least `min_accuracy`. NaN if none is.
        held_out: Pictures, or groups where there are groups.
        answered: Those of them that the bound rests on.
        needed: About how many would be needed, if the answers stay as good as they are; ``None`` where a threshold
            was found, and where no number would help.
    """

    confidence: float | None
    min_accuracy: float
    share: float
    accuracy: float
    bound: float
    held_out: int
    answered: int
    needed: int | None = None


def confidence_for(
    probabilities: Tensor,
    targets: Tensor,
    min_accuracy: float,
    confidence: float = 0.95,
    groups: Tensor | None = None,
) -> Threshold:
    """Find the confidence down to which answers may be given, so that at least `min_accuracy` of them are right.

    With probability `confidence` over the draw of the held-out pictures the promise holds for new pictures like them.
    The rule is Learn-then-Test (Angelopoulos et al., 2021, arXiv 2110.01052): thresholds are tested from the surest
    down, in an order that is fixed before it is looked at which answers are right, each by the exact binomial tail.
    The level is handed on from one that passes to the next, and there is a new start, with an equal part of the level,
    at each doubling of the answers (fallback procedure, Wiens, 2003): one early error does not end it. It takes for
    granted that surer answers are not wrong more often.

    With groups the unit is a group: the share of wrong ones among its answered pictures, of which the mean over new
    groups is bounded by Hoeffding's inequality (or Bentkus', whichever is closer; Bates et al., 2021). Each group
    counts the same. This is conservative, and asks for as many groups as it would ask for pictures.

    Args:
        probabilities: Of held-out pictures, by a network that has not learned from them, (N, K).
        targets: Class numbers (N,).
        min_accuracy: From 0 to 1, both excluded.
        confidence: With what probability the promise is kept.
        groups: Group of each picture (N,), or ``None``.

    Raises:
        TlearnError: `min_accuracy` or `confidence` is no such share; probabilities are not finite.
    """
    sure, answers = check_finite("probabilities", probabilities).max(dim=1)
    return confident_down_to(sure, answers == targets, min_accuracy, confidence, groups)


def confidence_by_label(
    probabilities: Tensor,
    targets: Tensor,
    min_accuracy: float,
    confidence: float = 0.95,
    groups: Tensor | None = None,
) -> list[Threshold]:
    """Find a threshold for each of several labels: one may be answered where another is not.

    The confidence of a label is the larger of p and ``1 - p``. Each promise is made for its label by itself.

    Args:
        probabilities: (N, K).
        targets: 0, 1 and NaN where it is unknown, (N, K). Unknown ones do not count.
        min_accuracy: As for `confidence_for`, as are the rest and the errors.
        confidence: With what probability each promise is kept.
        groups: Group of each picture (N,), or ``None``.
    """
    probabilities = check_finite("probabilities", probabilities)
    found = []
    for label in range(probabilities.shape[1]):
        known = ~targets[:, label].isnan()
        given = probabilities[known, label]
        right = (given >= 0.5) == (targets[known, label] == 1)
        in_groups = None if groups is None else groups[known]
        found.append(confident_down_to(torch.maximum(given, 1 - given), right, min_accuracy, confidence, in_groups))
    return found


def check_can_abstain(task: Task) -> None:
    """Check that a task has answers that are right or wrong.

    Raises:
        TlearnError: A regression has none.
    """
    if task == "regression":
        raise TlearnError("min_accuracy: the values of a regression are not right or wrong; ask for coverage instead")


def confident_down_to(
    sure: Tensor, right: Tensor, min_accuracy: float, confidence: float = 0.95, groups: Tensor | None = None
) -> Threshold:
    """Find the threshold from confidences (N,) and whether the answers are right, bool (N,); see `confidence_for`."""
    check_share("min_accuracy", min_accuracy)
    check_share("confidence", confidence)
    order = sure.argsort(descending=True, stable=True)
    ordered, wrong = sure[order].double().cpu().numpy(), (~right[order]).double().cpu().numpy()
    ends = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True)) if len(ordered) else np.zeros(0, np.int64)
    codes = np.arange(len(order)) if groups is None else groups[order].cpu().numpy()
    units, errors = _prefixes(codes, wrong)
    units, errors = units[ends], errors[ends]
    tail = _binomial_tail if groups is None else _bounded_tail
    passed = _fallback(units, tail(errors, units, 1 - min_accuracy), min_accuracy, 1 - confidence)
    count = len(np.unique(codes))
    if not len(passed):
        needed = _needed(units, errors, count, min_accuracy, 1 - confidence)
        return Threshold(None, min_accuracy, 0.0, math.nan, math.nan, count, 0, needed)
    last = passed[-1]
    answered = int(ends[last]) + 1
    bound = _lower_bound(float(errors[last]), int(units[last]), 1 - confidence, grouped=groups is not None)
    accuracy = 1 - float(wrong[:answered].mean())
    share = answered / len(ordered)
    return Threshold(float(ordered[ends[last]]), min_accuracy, share, accuracy, bound, count, int(units[last]))


def fewest_right(min_accuracy: float, confidence: float = 0.95) -> int:
    """Return how many held-out pictures must be answered, all of them right: 149 for 0.98, 29 for 0.9."""
    return math.ceil(math.log(1 - confidence) / math.log(min_accuracy) - 1e-9)


def _prefixes(codes: NDArray[np.int64], wrong: Numbers) -> tuple[NDArray[np.int64], Numbers]:
    """Return for each number of answers how many groups they are of, and the sum of the groups' shares of errors."""
    seen: dict[int, tuple[int, float]] = {}
    units, errors = np.zeros(len(codes), np.int64), np.zeros(len(codes))
    total = 0.0
    for place, (code, error) in enumerate(zip(codes.tolist(), wrong.tolist(), strict=True)):
        count, sum_ = seen.get(code, (0, 0.0))
        total += (sum_ + error) / (count + 1) - (sum_ / count if count else 0.0)
        seen[code] = (count + 1, sum_ + error)
        units[place], errors[place] = len(seen), total
    return units, errors


def _fallback(units: NDArray[np.int64], tails: Numbers, min_accuracy: float, level: float) -> list[int]:
    """Return the places that pass. Units are the independent answers at each place, tails the probabilities there."""
    most = int(units[-1]) if len(units) else 0
    starts = 1
    while most >= 2**starts * fewest_right(min_accuracy, 1 - level / (starts + 1)):
        starts += 1
    first = fewest_right(min_accuracy, 1 - level / starts)
    waiting = [first * 2**number for number in range(starts)]
    passed, carried = list[int](), 0.0
    for place, (unit, tail) in enumerate(zip(units.tolist(), tails.tolist(), strict=True)):
        while waiting and unit >= waiting[0]:
            carried += level / starts
            waiting.pop(0)
        if 0 < tail <= carried:
            passed.append(place)
        else:
            carried = 0.0
    return passed


def _binomial_tail(errors: Numbers, units: NDArray[np.int64], risk: float) -> Numbers:
    """Return the probability of so few errors or fewer, if each answer were wrong with probability `risk`."""
    from scipy.stats import binom  # here and below: it takes half a second, and an answer may need none

    found: Numbers = binom.cdf(np.round(errors), units, risk)
    return found


def _bounded_tail(errors: Numbers, units: NDArray[np.int64], risk: float) -> Numbers:
    """Return a bound of the same for sums of errors from 0 to 1 each: Hoeffding's or Bentkus'."""
    from scipy.stats import binom

    mean = np.minimum(errors / np.maximum(units, 1), risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.where(mean > 0, mean * np.log(mean / risk), 0) + (1 - mean) * np.log((1 - mean) / (1 - risk))
    bentkus = math.e * binom.cdf(np.ceil(errors - 1e-9), units, risk)
    found: Numbers = np.minimum(np.minimum(np.exp(-units * entropy), bentkus), 1.0)
    return found


def _lower_bound(errors: float, units: int, level: float, grouped: bool) -> float:
    """Return the accuracy that is exceeded with probability ``1 - level``, for one threshold."""
    from scipy.optimize import brentq
    from scipy.stats import beta

    if not grouped:
        return float(beta.ppf(level, units - round(errors), round(errors) + 1))
    sums, counts = np.array([errors]), np.array([units])

    def excess(risk: float) -> float:
        return float(_bounded_tail(sums, counts, risk)[0]) - level

    lowest = max(errors / units, 1e-9)
    return 1 - float(brentq(excess, lowest, 1 - 1e-9))


def _needed(units: NDArray[np.int64], errors: Numbers, count: int, min_accuracy: float, level: float) -> int | None:
    """Return how many pictures would do, if shares of errors and of answers stay as they are at the best threshold.

    Half an error is added to those seen, for the best threshold is so partly by luck, and a third of the level is
    taken, which is left of it where there are three starts.
    """
    from scipy.stats import binom

    fewest = fewest_right(min_accuracy, 1 - level)
    if not errors.any():
        return max(fewest, count + 1)
    sizes = np.unique(np.geomspace(fewest, 1e6, 400).astype(np.int64))
    places = np.unique(np.geomspace(1, len(units), 100).astype(np.int64)) - 1
    places = np.append(places, np.flatnonzero(errors == 0)[-1:])
    best = math.inf
    for unit, rate in zip(units[places].tolist(), ((errors + 0.5) / (units + 1))[places].tolist(), strict=True):
        if rate < 1 - min_accuracy and fewest * count / unit < best:
            enough = binom.cdf(np.ceil(rate * sizes - 1e-9), sizes, 1 - min_accuracy) <= level / 3
            best = min(best, float(sizes[enough.argmax()]) * count / unit if enough.any() else math.inf)
    return max(math.ceil(best), count + 1) if math.isfinite(best) else None
