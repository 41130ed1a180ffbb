"""The strategies of scikit-activeml 1.0 on the same features and the same head; it is no dependency of tlearn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from tlearn.analysis.query.clusters import Rows
from tlearn.analysis.query.few_labels import FewHead, solve_few

PREFIX = "skactiveml-"


class SolvedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The solved head as scikit-learn takes it."""

    head: FewHead
    classes_: NDArray[Any]

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> SolvedClassifier:  # noqa: N803  # called by these names
        """Solve it."""
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self.head = solve_few(torch.from_numpy(X).float(), torch.from_numpy(numbers), len(self.classes_))
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:  # noqa: N803
        """Return probabilities (N, K)."""
        found: NDArray[Any] = self.head.probabilities(torch.from_numpy(X).float()).numpy()
        return found

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:  # noqa: N803
        """Return classes (N,)."""
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found


def reference_pictures(strategy: str, rows: Rows, labels: Tensor, count: int, num_classes: int, seed: int) -> list[int]:
    """Choose by a strategy of scikit-activeml, the first pictures by its TypiClust.

    It gets the compressed features, (N, 64): with all 1,280 its first choice of 50 among 5,000 took over ten minutes.
    """
    pool, classes = import_module("skactiveml.pool"), range(num_classes)
    known = np.where(labels.numpy() >= 0, labels.numpy(), np.nan)
    if not int((labels >= 0).sum()):
        query = pool.TypiClust(random_state=seed, k=20)
        return _numbers(query.query(rows, known, batch_size=count))
    classifier = import_module("skactiveml.classifier").SklearnClassifier(SolvedClassifier(), classes=list(classes))
    name = strategy.removeprefix(PREFIX)
    query = getattr(pool, name)(random_state=seed)
    words = {"estimator": classifier} if name == "Clue" else {} if name == "TypiClust" else {"clf": classifier}
    return _numbers(query.query(rows, known, batch_size=count, **words))


def _numbers(found: NDArray[Any]) -> list[int]:
    return [int(number) for number in found]
