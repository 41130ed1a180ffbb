"""The metrics of a task, all of them torchmetrics'. K classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, Metric, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from tlearn.types import Task


class MacroAccuracy(MulticlassConfusionMatrix):
    """Mean of the per-class accuracies over the classes that have images.

    torchmetrics' macro average counts a class without images as 0 once it is predicted, which pulls the mean down.
    """

    higher_is_better = True

    def compute(self) -> Tensor:
        """Return the mean as a scalar."""
        matrix = super().compute()
        support = matrix.sum(dim=1)
        present = support > 0
        return (matrix.diagonal()[present] / support[present]).mean()


class DefinedR2Score(R2Score):
    """R2 that is NaN, not an exception, below two values (a validation set of one, the sanity check)."""

    def compute(self) -> Tensor:
        """Return R2 as a scalar."""
        return super().compute() if self.total >= 2 else torch.tensor(torch.nan)


def build_metrics(task: Task, num_classes: int, stage: str) -> MetricCollection:
    """Collect the metrics of one stage, named ``stage/acc`` and so on.

    Plain accuracy is micro: right answers over images. While training only the first metric is kept, it runs at every
    step; validation and test add the macro average and, with more than five classes, top 5.

    Args:
        task: Classification or regression.
        num_classes: K; not used for regression.
        stage: ``train``, ``val`` or ``test``.
    """
    metrics: dict[str, Metric | MetricCollection]
    if task == "regression":
        metrics = {"mae": MeanAbsoluteError()}
        if stage != "train":
            metrics["r2"] = DefinedR2Score()
    else:
        # No argument checks at every step: they cost more than the update, and the labels come from our own data.
        metrics = {"acc": MulticlassAccuracy(num_classes, average="micro", validate_args=False)}
        if stage != "train":
            metrics["acc_macro"] = MacroAccuracy(num_classes, validate_args=False)
            if num_classes > 5:
                metrics["acc_top5"] = MulticlassAccuracy(num_classes, average="micro", top_k=5, validate_args=False)
    return MetricCollection(metrics, prefix=f"{stage}/", compute_groups=False)


def metric_names(task: Task, num_classes: int, stage: str) -> list[str]:
    """List what a stage logs, for the check of names to monitor."""
    return [f"{stage}/loss", *map(str, build_metrics(task, num_classes, stage).keys())]
