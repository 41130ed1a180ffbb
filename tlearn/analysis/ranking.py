"""Rank contenders by what each scored on the same images. Letters: S seeds, N images, G groups, K labels.

Pure functions over arrays; scipy is loaded by what needs it, for importing its statistics takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlearn.base.intervals import grouped_interval

Scores = NDArray[np.float64]
Groups = NDArray[np.int64]

LEVEL = 0.05  # differences with a larger p value are not significant
RESAMPLES = 9999
_SEED = 0  # of resampling, so that the same scores give the same figures
_VALUES_AT_ONCE = 2**23  # 64 MB of float64 while resampling


@dataclass(frozen=True)
class Standing:
    """One contender beside the best.

    Attributes:
        name: Name of the contender.
        mean: Mean of its scores over images and seeds.
        interval: 95 % confidence interval of the mean over images; ``None`` where all images score alike.
        seeds: The lowest and the highest mean of a seed.
        difference: The mean less that of the best.
        p_value: Probability of such a difference by chance; ``None`` for the best.
        corrected: The p value corrected for the number of contenders (Holm, 1979).
    """

    name: str
    mean: float
    interval: tuple[float, float] | None
    seeds: tuple[float, float]
    difference: float
    p_value: float | None
    corrected: float | None

    @property
    def is_told_apart(self) -> bool:
        """Tell whether it differs from the best by more than chance would at 0.05; the best does not."""
        return self.corrected is not None and self.corrected <= LEVEL


def rank(scores: Mapping[str, Scores], higher_is_better: bool, groups: Groups | None = None) -> list[Standing]:
    """Put contenders in order, the best first, and test each against it.

    Args:
        scores: Name to scores (S, N), of the same images in the same order.
        higher_is_better: False for errors.
        groups: (N,), the group of each image; images of a group are not independent.
    """
    sign = -1 if higher_is_better else 1
    names = sorted(scores, key=lambda name: sign * float(scores[name].mean()))
    best = scores[names[0]]
    p_values = [p_value_of(scores[name], best, groups) for name in names[1:]]
    tested = zip([None, *p_values], [None, *holm(p_values)], strict=True)
    return [
        _standing(name, scores[name], best, raw, corrected, groups)
        for name, (raw, corrected) in zip(names, tested, strict=True)
    ]


def _standing(
    name: str, scores: Scores, best: Scores, raw: float | None, corrected: float | None, groups: Groups | None
) -> Standing:
    of_seeds = scores.mean(axis=1)
    return Standing(
        name=name,
        mean=float(scores.mean()),
        interval=interval_of(scores, groups),
        seeds=(float(of_seeds.min()), float(of_seeds.max())),
        difference=float(scores.mean() - best.mean()),
        p_value=raw,
        corrected=corrected,
    )


def interval_of(scores: Scores, groups: Groups | None = None) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean over images, by resampling images (bootstrap, BCa; Efron, 1987).

    Args:
        scores: (S, N); averaged over seeds first, so the interval says nothing of other seeds.
        groups: (N,), the group of each image; with them whole groups are resampled, see `grouped_interval`.
    """
    from scipy.stats import bootstrap

    of_images = scores.mean(axis=0)
    if groups is not None:
        return grouped_interval(of_images, groups)
    if np.ptp(of_images) == 0:
        return None  # nothing to resample: no interval at all is honest, one of width 0 is not
    batch = max(1, _VALUES_AT_ONCE // len(of_images))
    found = bootstrap((of_images,), np.mean, n_resamples=RESAMPLES, batch=batch, rng=_SEED).confidence_interval
    return float(found.low), float(found.high)


def p_value_of(scores: Scores, best: Scores, groups: Groups | None = None) -> float:
    """Test, two-sided, whether two contenders differ on the same images.

    Args:
        scores: (S, N).
        best: The scores of the best, (S, N).
        groups: (N,), the group of each image.

    Returns:
        With one seed and scores of 0 and 1 the exact McNemar test's p value; else that of a paired permutation test of
        the means over seeds. With groups the two swap the answers to whole groups: then no p value can be below
        2 / 2**G.
    """
    if groups is None and is_mcnemar(scores) and is_mcnemar(best):
        return _mcnemar(scores[0], best[0])
    from scipy.stats import permutation_test

    pair = (scores.mean(axis=0), best.mean(axis=0))
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        pair = (np.bincount(codes, weights=pair[0]), np.bincount(codes, weights=pair[1]))
    batch = max(1, _VALUES_AT_ONCE // (2 * len(pair[0])))
    options = {"permutation_type": "samples", "vectorized": True, "n_resamples": RESAMPLES, "batch": batch}
    return float(permutation_test(pair, _mean_difference, **options, rng=_SEED).pvalue)


def is_mcnemar(scores: Scores) -> bool:
    """Tell whether scores (S, N) are of one seed, and only right or wrong."""
    return len(scores) == 1 and bool(np.isin(scores, (0.0, 1.0)).all())


def _mean_difference(one: Scores, other: Scores, axis: int) -> Scores:
    difference: Scores = np.mean(one - other, axis=axis)
    return difference


def _mcnemar(one: Scores, other: Scores) -> float:
    from scipy.stats import binomtest

    only_one, only_other = int((one > other).sum()), int((other > one).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm, 1979), in the order given."""
    corrected, floor = [0.0] * len(p_values), 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - done) * p_values[place]))
        corrected[place] = floor
    return corrected


def sample_f1(predicted: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> Scores:
    """Return the F1 of each image's labels (N,); 1 where there is none and none is predicted.

    Args:
        predicted: (N, K).
        wanted: (N, K).
    """
    both, either = (predicted & wanted).sum(axis=1), predicted.sum(axis=1) + wanted.sum(axis=1)
    return np.where(either == 0, 1.0, 2 * both / np.maximum(either, 1))
