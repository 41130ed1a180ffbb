"""Published scores of how well a network will transfer, from features alone. N images, D features, K classes.

Of the three, LogME is `tlearn.analysis.similarity`'s; these live here alone, for none of them chooses better (see
``docs/measuring.md``).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from torch import Tensor

from tlearn.analysis.similarity import mean_logme
from tlearn.analysis.stage_probe import wanted_outputs
from tlearn.training.strategies.known_labels import known_groups

_KEPT_VARIANCE = 0.8  # of NLEEP's principal components, as its authors kept
_FEWEST_COMPONENTS = 2
_COVARIANCE_FLOOR = 1e-3


def logme(features: Tensor, labels: Tensor) -> float:
    """Return LogME (You et al., 2021, arXiv 2102.11005)."""
    wanted = wanted_outputs("classification", labels, int(labels.max()) + 1)
    return mean_logme(known_groups(features, wanted))


def h_score(features: Tensor, labels: Tensor) -> float:
    """Return the regularised H-score (Ibrahim et al., 2021, arXiv 2110.06893).

    The trace of the inverse covariance, shrunk as Ledoit and Wolf do, times the covariance of the class means, which
    is shrunk by the same factor.
    """
    rows = (features - features.mean(dim=0)).double().numpy()
    shrunk, factor = ledoit_wolf(rows, assume_centered=True)
    means = np.zeros_like(rows)
    for number in labels.unique():
        own = (labels == number).numpy()
        means[own] = rows[own].mean(axis=0)
    between = (1 - factor) * means.T @ means / len(rows)
    return float(np.trace(np.linalg.solve(shrunk, between)))


def nleep(features: Tensor, labels: Tensor) -> float:
    """Return N-LEEP (Li et al., 2021, arXiv 2102.03937): LEEP with the components of a Gaussian mixture as classes.

    Principal components of 80 % of the variance; five components a class, as its authors took, but no more than a
    quarter of the images, for they had many. Covariances are diagonal.
    """
    rows = PCA(_KEPT_VARIANCE, svd_solver="full", random_state=0).fit_transform(features.double().numpy())
    rows /= rows.std()
    classes = int(labels.max()) + 1
    count = max(_FEWEST_COMPONENTS, min(5 * classes, len(rows) // 4))
    mixture = GaussianMixture(count, covariance_type="diag", reg_covar=_COVARIANCE_FLOOR, random_state=0, max_iter=30)
    with np.errstate(all="ignore"):
        parts: NDArray[np.float64] = mixture.fit(rows).predict_proba(rows)
    one_hot = torch.nn.functional.one_hot(labels, classes).double().numpy()
    joint = one_hot.T @ parts / len(rows)  # (K, components)
    given_part = joint / np.maximum(joint.sum(axis=0, keepdims=True), 1e-12)
    likely = (parts @ given_part.T)[np.arange(len(rows)), labels.numpy()]
    return float(np.log(np.maximum(likely, 1e-12)).mean())


SCORES = {"LogME": logme, "H-score": h_score, "NLEEP": nleep}
