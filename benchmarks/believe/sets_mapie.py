"""Are answer sets those of mapie? The same probabilities go to both.

    python -m venv ENV && ENV/bin/pip install mapie==1.6.0 torch
    PYTHONPATH=. ENV/bin/python -m benchmarks.believe.sets_mapie

LAC and the absolute errors of a regression are defined alike. mapie's RAPS draws a random number for each picture; with
that number set to 1, and its penalty and free ranks to ours, it is defined alike, too. Where an own score stands in the
way of a comparison, it is done through mapie's parts: its cumulated probabilities, its quantile.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tlearn.models.reliability import answer_sets as own
from tlearn.models.reliability.abstention import _binomial_tail, _bounded_tail
from tlearn.models.reliability.answer_sets import Method
from tlearn.models.reliability.held_out import Held, threshold_of
from tlearn.models.reliability.intervals import fit_intervals

Numbers = NDArray[np.float64]
COVERAGES = (0.8, 0.9, 0.95, 0.99)
HELD_OUT, NEW, CLASSES = (100, 137, 999), 2000, 10


def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities float64 (N, K) that are too sure, and classes (N,)."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, CLASSES, generator=generator, dtype=torch.float64) * 1.5
    targets = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return (2 * logits).softmax(dim=1), targets


def compare_sets(method: Method) -> tuple[float, int, int]:
    """Return the largest difference of thresholds, the numbers of set members that differ, and of all of them."""
    from mapie.conformity_scores import LACConformityScore, RAPSConformityScore
    from mapie.utils import _compute_classification_quantile

    off, differing, total = 0.0, 0, 0
    for seed, count in enumerate(HELD_OUT):
        probabilities, targets = drawn(count + NEW, seed)
        held, new = probabilities[:count].numpy(), probabilities[count:].numpy()
        y = targets[:count].numpy()
        for coverage in COVERAGES:
            rule = own.fit_sets(probabilities[:count], targets[:count], coverage, method)
            ours = own.answer_sets(rule, probabilities[count:], raw=True).numpy()
            alphas = np.array([1 - coverage])
            if method == "lac":
                score = LACConformityScore()
                scores = score.get_conformity_scores(y, held, y_enc=y)
                score.quantiles_ = score.get_conformity_score_quantiles(scores, alphas, "prefit")
                theirs = score.get_prediction_sets(new[:, :, None], scores, alphas, "prefit")[:, :, 0]
                threshold = float(score.quantiles_[0])
            else:
                classes = np.arange(CLASSES)
                sums, ranks = RAPSConformityScore.get_true_label_cumsum_proba(y, held, classes)
                before = sums - held[np.arange(count), y][:, None]
                free = np.array([own.FREE_RANKS])
                penalised = RAPSConformityScore._regularize_conformity_score(free, own.PENALTY, before, ranks)
                threshold = float(_compute_classification_quantile(penalised, alphas)[0])
                theirs = _raps_sets(new, threshold)
            off = max(off, abs(threshold - float(rule.thresholds[0])))
            differing, total = differing + int((ours != theirs).sum()), total + ours.size
    return off, differing, total


def _raps_sets(new: Numbers, threshold: float) -> NDArray[np.bool_]:
    """Return the sets by mapie's cumulated and penalised probabilities, whose own class is taken away again."""
    from mapie.conformity_scores import RAPSConformityScore

    found = np.zeros(new.shape, dtype=bool)
    for number in range(CLASSES):
        asked = np.full(len(new), number)
        sums, ranks = RAPSConformityScore.get_true_label_cumsum_proba(asked, new, np.arange(CLASSES))
        before, free = sums - new[:, [number]], np.array([own.FREE_RANKS])
        scores = RAPSConformityScore._regularize_conformity_score(free, own.PENALTY, before, ranks)
        found[:, number] = scores[:, 0, 0] <= threshold
    return found


def compare_intervals() -> float:
    """Return the largest difference of half-widths from those of mapie's regressor, which serves one column."""
    from mapie.regression import SplitConformalRegressor
    from sklearn.base import BaseEstimator, RegressorMixin

    class AsIs(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        """Its input is its output."""

        def fit(self, x: object, y: object) -> AsIs:
            self.is_fitted = True
            return self

        def predict(self, x: Numbers) -> Numbers:
            return x[:, 0]

    off = 0.0
    for seed, count in enumerate(HELD_OUT):
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(count, 1, generator=generator, dtype=torch.float64)
        targets = values + torch.randn(count, 1, generator=generator, dtype=torch.float64)
        for coverage in COVERAGES:
            ours = float(fit_intervals(values, targets, coverage).half_widths[0])
            theirs = SplitConformalRegressor(AsIs().fit(0, 0), confidence_level=coverage, prefit=True)
            theirs.conformalize(values.numpy(), targets[:, 0].numpy())
            ends = theirs.predict_interval(np.zeros((1, 1)))[1]
            off = max(off, abs(float(ends[0, 1, 0]) - ours))
    return off


def compare_tails() -> float:
    """Return the largest difference of the probabilities that abstention rests on: exact, and of bounded errors.

    mapie multiplies the share of errors by their number again, and rounds up: of 203 pictures with 13 errors it counts
    14 (findings/mapie_p_value_counts_one_more.sh). So it gets a share that is a rounding smaller.
    """
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    off = 0.0
    for risk in (0.02, 0.05, 0.1):
        for units in (50, 149, 400):
            errors = np.arange(units // 4, dtype=float)
            counts = np.full(len(errors), units)
            shares = np.maximum(errors / units - 1e-13, 0)
            for is_binary, own_tail in ((True, _binomial_tail), (False, _bounded_tail)):
                theirs = compute_hoeffding_bentkus_p_value(shares, counts, np.array([risk]), is_binary)[:, 0]
                ours = own_tail(errors, counts, risk)
                off = max(off, float(np.abs(np.minimum(theirs, 1) - ours)[errors < risk * units].max()))
    return off


def compare_quantile() -> float:
    """Return the largest difference of thresholds for every number of pictures from 19 to 400."""
    from mapie.utils import _compute_classification_quantile

    off = 0.0
    for count in range(19, 401):
        scores = torch.rand(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
        for coverage in (0.8, 0.9, 0.95):
            theirs = float(_compute_classification_quantile(scores.numpy()[:, None], np.array([1 - coverage]))[0])
            off = max(off, abs(theirs - threshold_of(Held(scores), coverage)))
    return off


def main() -> None:
    """Print what agrees, and to which digit."""
    import mapie

    print(f"mapie {mapie.__version__}, torch {torch.__version__}, numpy {np.__version__}")
    for method in ("lac", "raps"):
        off, differing, total = compare_sets(method)
        print(f"{method}: thresholds differ by {off:.1e}, set members {differing} of {total}")
    print(f"regression: half-widths differ by {compare_intervals():.1e}")
    print(f"quantile, 19 to 400 pictures: thresholds differ by {compare_quantile():.1e}")
    print(f"tails of abstention: probabilities differ by {compare_tails():.1e}")


if __name__ == "__main__":
    main()
