"""Predict the worth of more labels: probe nested subsets, and fit a power law to the errors. n labels, N images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray
from torch import Tensor

from tlearn.analysis.stage_probe import Labelled, score, wanted_outputs
from tlearn.base.progress import tracked
from tlearn.base.types import Task
from tlearn.training.strategies.known_labels import ridge_outputs

_SHARES, _DRAWS, _FEWEST = (1 / 8, 1 / 4, 1 / 2), 5, 2
_USUAL_EXPONENT = 0.3  # of the power law; a few points cannot tell it well, so the fit is pulled towards it
_EXPONENT_SPREAD, _EXPONENTS = 0.2, np.linspace(0.05, 1.2, 24)
_RESAMPLES = 100
_ERROR_FLOOR = 1e-3  # an error of 0 has no logarithm
_FEWEST_POINTS = 3  # of a curve of three numbers

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class CurvePoint:
    """One size of the training set.

    Attributes:
        images: N.
        error: 1 minus the score: mean over the draws.
        deviation: Standard deviation of that mean.
    """

    images: int
    error: float
    deviation: float


@dataclass(frozen=True)
class Forecast:
    """The expected worth of twice the labels.

    Attributes:
        points: The measured sizes of the training set.
        gain: Gain of the score from N to 2 N images.
        low: 5th percentile of the gain.
        high: 95th percentile of the gain.
        is_flat: The last doubling changed less than its own noise.
    """

    points: list[CurvePoint]
    gain: float
    low: float
    high: float
    is_flat: bool


def measure_curve(task: Task, train: Labelled, val: Labelled, num_classes: int, strength: float) -> list[CurvePoint]:
    """Measure ridge regression on an eighth, a quarter and a half of the training images, and on all of them.

    The first three are means over five draws, stratified and nested; each is scored on validation and on the training
    images that it did not see, all of them on validation alone.

    Args:
        task: Kind of targets.
        train: Features (N, D) and targets.
        val: Features (V, D) and targets.
        num_classes: K.
        strength: Strength of the penalty.
    """
    draws: dict[int, list[tuple[float, int]]] = {}
    for draw in tracked(range(_DRAWS), "trying fewer images", _DRAWS):
        order = _stratified_order(task, train.targets, draw)
        for share in _SHARES:
            count = round(share * len(order))
            if count >= _FEWEST * num_classes:
                draws.setdefault(count, []).append(_error(task, train, val, order, count, num_classes, strength))
    everything = _error(task, train, val, torch.arange(len(train.targets)), len(train.targets), num_classes, strength)
    draws[len(train.targets)] = [everything]
    return [_point(count, results) for count, results in sorted(draws.items())]


def forecast(points: Sequence[CurvePoint]) -> Forecast | None:
    """Fit ``error = a n^-b + c`` to the points and tell what twice the images would bring; ``None`` below three points.

    The form is that of learning-curve reviews (Viering and Loog, 2022, arXiv 2103.10948); ``b`` is drawn towards 0.3.
    The interval is that of 100 fits to points redrawn within their deviations. Never asked beyond twice the images.
    """
    if not (found := expected_gains(points, [2 * points[-1].images])):
        return None
    last, before = points[-1], points[-2]
    noise = (last.deviation**2 + before.deviation**2) ** 0.5
    is_flat = before.error - last.error < noise
    return Forecast(list(points), found[0].gain, found[0].low, found[0].high, is_flat)


class Gain(NamedTuple):
    """What the score gains, from the last point of a curve to another number of images.

    Attributes:
        images: That number.
        gain: The difference of the scores.
        low: Its 5th percentile.
        high: Its 95th.
    """

    images: int
    gain: float
    low: float
    high: float


def expected_gains(points: Sequence[CurvePoint], images: Sequence[int]) -> list[Gain]:
    """Tell what more images would bring, as `forecast` does; nothing below three points.

    Args:
        points: The measured sizes of the training set, ascending.
        images: Other sizes, of at most twice the last.
    """
    if len(points) < _FEWEST_POINTS:
        return []
    sizes = np.array([point.images for point in points], dtype=float) / points[-1].images
    errors = np.array([point.error for point in points])
    deviations = np.array([max(point.deviation, 2e-3) for point in points])
    random = np.random.default_rng(0)
    shares = np.array(images, dtype=float) / points[-1].images
    drawn = (errors + deviations * random.normal(size=len(errors)) for _ in range(_RESAMPLES))
    gains = [_gains(sizes, each, deviations, shares) for each in drawn]
    low, high = np.percentile(gains, [5, 95], axis=0)
    found = zip(images, _gains(sizes, errors, deviations, shares), low, high, strict=True)
    return [Gain(count, *map(float, numbers)) for count, *numbers in found]


def log_curve(loggers: Iterable[Logger], found: Forecast) -> None:
    """Log the score over the number of training images, which takes the place of steps."""
    for point in found.points:
        for logger in loggers:
            logger.log_metrics({"advise/score_over_images": 1 - point.error}, step=point.images)


def _gains(sizes: _Numbers, errors: _Numbers, deviations: _Numbers, shares: _Numbers) -> _Numbers:
    """Fit by least squares: for each exponent of a grid the other two are linear, within 0 <= c <= the least error."""
    least = max(float(errors.min()), _ERROR_FLOOR)
    best, gains = np.inf, np.zeros_like(shares)
    for b in _EXPONENTS:
        columns = np.stack([sizes**-b, np.ones_like(sizes)], axis=1) / deviations[:, None]
        wanted = errors / deviations
        c = min(max(float(np.linalg.lstsq(columns, wanted, rcond=None)[0][1]), 0.0), least)
        rest = wanted - c * columns[:, 1]
        a = max(float(columns[:, 0] @ rest / (columns[:, 0] @ columns[:, 0])), 0.0)
        misfit = float(np.square(rest - a * columns[:, 0]).sum()) + ((b - _USUAL_EXPONENT) / _EXPONENT_SPREAD) ** 2
        if misfit < best:
            best, gains = misfit, a * (1 - shares**-b)
    return gains


def _stratified_order(task: Task, targets: Tensor, draw: int) -> Tensor:
    """Return the images in an order of which every beginning has the classes in the same proportion."""
    random = torch.Generator().manual_seed(draw)
    order = torch.randperm(len(targets), generator=random)
    if task != "classification":
        return order
    place = torch.empty(len(targets), dtype=torch.float64)
    for number in targets.unique():
        members = order[targets[order] == number]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return place.argsort(stable=True)


def _error(
    task: Task, train: Labelled, val: Labelled, order: Tensor, count: int, num_classes: int, strength: float
) -> tuple[float, int]:
    chosen, rest = order[:count], order[count:]
    asked = torch.cat([val.features, train.features[rest]])
    targets = torch.cat([val.targets, train.targets[rest]])
    wanted = wanted_outputs(task, train.targets[chosen], num_classes)
    return 1 - score(task, ridge_outputs(train.features[chosen], wanted, asked, strength), targets), len(targets)


def _point(count: int, results: Sequence[tuple[float, int]]) -> CurvePoint:
    errors = [error for error, _ in results]
    mean, asked = float(np.mean(errors)), results[0][1]
    counting = (max(mean * (1 - mean), 0.0) / asked) ** 0.5  # of the images asked; the same ones for all draws
    drawing = float(np.std(errors, ddof=1)) / len(errors) ** 0.5 if len(errors) > 1 else 0.0
    return CurvePoint(count, mean, (counting**2 + drawing**2) ** 0.5)
