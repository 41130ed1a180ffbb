"""The metrics of a task, all of them torchmetrics'. K classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, MetricCollection, R2Score
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MultilabelAveragePrecision,
    MultilabelF1Score,
)
from torchmetrics.functional.classification import multilabel_average_precision
from torchmetrics.utilities import dim_zero_cat

from tlearn.base.processes import ALONE, own_share
from tlearn.base.types import Task
from tlearn.models.losses import as_classes, as_values, known_share
from tlearn.models.target_unit import AS_IT_IS

_BLOCK_ROWS = 8192
UNKNOWN = -1  # a label that nobody has looked for, among 0 and 1


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


class KnownF1Score(MultilabelF1Score):
    """Mean F1 over the classes of which any label is known; NaN where none is. torchmetrics counts others as 0."""

    def compute(self) -> Tensor:
        """Return the mean as a scalar."""
        known = torch.stack(self._final_state()).reshape(4, -1).sum(dim=0) > 0
        if known.all():
            return super().compute()
        right, more, _, missed = (counts.reshape(-1)[known].float() for counts in self._final_state())
        return (2 * right / (2 * right + more + missed).clamp_min(1)).mean()


class MeanAveragePrecision(MultilabelAveragePrecision):
    """Mean of the classes' average precisions over those that have images; NaN where none has.

    torchmetrics' own mean counts a class without images as 0, and warns at every epoch.
    """

    def compute(self) -> Tensor:  # type: ignore[override]  # torchmetrics' annotates its base's curves
        """Return the mean as a scalar."""
        given, wanted = dim_zero_cat(self.preds), dim_zero_cat(self.target)
        present = (wanted == 1).any(dim=0)
        precisions = multilabel_average_precision(  # torchmetrics cannot where nothing is known of a class
            given[:, present], wanted[:, present], int(present.sum()), "none", None, UNKNOWN, validate_args=False
        )
        return precisions.mean()


class WeightedMean(MeanMetric):
    """A mean of which a NaN stays one; torchmetrics' own, told so, drops the weights."""

    def __init__(self) -> None:
        super().__init__(nan_strategy="disable")

    def update(self, value: Tensor, weight: Tensor) -> None:  # type: ignore[override]  # both are needed
        """Take values (B,) with their weights (B,)."""
        self.mean_value += (value * weight).sum()
        self.weight += weight.sum()


class DefinedR2Score(R2Score):
    """R2 that is NaN, not an exception, below two values (a validation set of one, the sanity check)."""

    def compute(self) -> Tensor:
        """Return R2 as a scalar, or (K,) of K columns."""
        return super().compute() if self.total >= 2 else torch.full_like(self.residual, torch.nan)


def build_metrics(task: Task, num_classes: int, stage: str) -> MetricCollection:
    """Collect the metrics of one stage, named ``stage/acc`` and so on.

    Plain accuracy is micro: right answers over images. While training only the first metric is kept, it runs at every
    step; validation and test add the macro average and, with more than five classes, top 5.
    Several labels: F1 at probability 0.5, mean over classes, and mean average precision; unknown ones do not count.

    Args:
        task: Classification, multilabel or regression.
        num_classes: K, the classes, or the columns of a regression.
        stage: ``train``, ``val`` or ``test``.
    """
    metrics: dict[str, Metric | MetricCollection]
    if task == "regression":
        metrics = {"mae": MeanAbsoluteError(num_outputs=num_classes)}
        if stage != "train":
            metrics["rmse"] = MeanSquaredError(squared=False, num_outputs=num_classes)
            metrics["r2"] = DefinedR2Score(multioutput="raw_values" if num_classes > 1 else "uniform_average")
    elif task == "multilabel":
        options: dict[str, Any] = {"ignore_index": UNKNOWN, "validate_args": False}
        metrics = {"f1": KnownF1Score(num_classes, average="macro", **options)}
        if stage != "train":
            metrics["map"] = MeanAveragePrecision(num_classes, average="none", **options)
    else:
        # No argument checks at every step: they cost more than the update, and the labels come from our own data.
        metrics = {"acc": MulticlassAccuracy(num_classes, average="micro", validate_args=False)}
        if stage != "train":
            metrics["acc_macro"] = MacroAccuracy(num_classes, validate_args=False)
            if num_classes > 5:
                metrics["acc_top5"] = MulticlassAccuracy(num_classes, average="micro", top_k=5, validate_args=False)
    return MetricCollection(metrics, prefix=f"{stage}/", compute_groups=False)


class EpochMetrics(nn.Module):
    """Loss and metrics of one stage over an epoch, on whatever device the outputs are.

    Outputs are gathered into blocks before torchmetrics sees them: its updates at every step cost more than a step of a
    head on cached features.

    Args:
        task: Classification, multilabel or regression.
        num_classes: K, the classes, or the columns of a regression.
        stage: ``train``, ``val`` or ``test``.
        columns: K names of the columns where a regression has several.

    Attributes:
        unit: That of a regression's values: they come standardised, and errors are told in the user's unit.
    """

    def __init__(self, task: Task, num_classes: int, stage: str, columns: Sequence[str] = ()) -> None:
        super().__init__()
        self.task, self.stage, self.unit = task, stage, AS_IT_IS
        self._columns = list(columns) if task == "regression" and len(columns) > 1 else []
        self.metrics = build_metrics(task, num_classes, stage)
        self.loss = WeightedMean()
        self._block: list[tuple[Tensor, Tensor, Tensor]] = []
        self._rows = 0

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EpochMetrics:
        """Move to a device, but stay float32: sums in the 8 or 11 bits of ``bf16-true`` or ``16-true`` are no sums."""
        super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)  # type: ignore[no-untyped-call]
        return self

    def update(self, output: Tensor, loss: Tensor, targets: Tensor) -> None:
        """Take a batch.

        Args:
            output: Logits (B, K), or standardised values (B, K).
            loss: The batch's mean loss, a scalar.
            targets: Class numbers (B,), shares (B, K), 0, 1 and NaN (B, K) for several labels, or standardised values
                (B, K).
        """
        if self.task == "multilabel":
            wanted = targets.nan_to_num(nan=UNKNOWN).long()
        else:
            wanted = as_values(targets, output) if self.task == "regression" else as_classes(targets)
        self._block.append((output.detach(), loss.detach().expand(len(output)), wanted))
        self._rows += len(output)
        if self._rows >= _BLOCK_ROWS:
            self._flush()

    def compute(self) -> dict[str, Tensor]:
        """Return loss and metrics of all batches since the last reset; every image counts once.

        Of several columns each metric is the mean, and one more for each column.
        """
        self._flush()
        found = self.metrics.compute()
        if self.task == "regression":
            found = self._by_column({name: self._in_unit(name, value) for name, value in found.items()})
        return {f"{self.stage}/loss": self.loss.compute(), **found}

    def _in_unit(self, name: str, value: Tensor) -> Tensor:
        """Return (K,): errors in the user's unit, shares as they are."""
        is_error = self.unit.deviation and name.rpartition("/")[2] in ("mae", "rmse")
        return value.reshape(-1) * value.new_tensor(self.unit.deviation) if is_error else value.reshape(-1)

    def _by_column(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        each = {
            f"{name}_{column}": value[number]
            for name, value in found.items()
            for number, column in enumerate(self._columns)
        }
        return {name: value.mean() for name, value in found.items()} | each

    def sums(self) -> dict[str, Any]:
        """Return what an epoch has gathered so far, for a checkpoint inside it; blocks stay blocks, for the bits.

        With several processes what all of them have gathered, and all of them have to ask.
        """
        if own_share() != ALONE:
            self._flush()
        states = []
        for metric in self._all():
            with metric.sync_context():
                states.append(dict(metric.metric_state))
        return {"block": list(self._block), "states": states}

    def add(self, sums: Mapping[str, Any], device: torch.device) -> None:
        """Take up what `sums` returned, after a reset; of several processes the first one does."""
        if own_share().rank:
            return
        for output, loss, wanted in sums["block"]:
            self._block.append((output.to(device), loss.to(device), wanted.to(device)))
        self._rows = sum(len(output) for output, _, _ in self._block)
        for metric, state in zip(self._all(), sums["states"], strict=True):
            metric.merge_state({name: value.to(device) for name, value in state.items()})
            metric._update_count += 1  # else torchmetrics warns where no batch is left

    def _all(self) -> list[Metric]:
        return [self.loss, *self.metrics.values()]

    def reset(self) -> None:
        """Forget all batches."""
        self._block, self._rows = [], 0
        self.loss.reset()
        self.metrics.reset()

    def _flush(self) -> None:
        if self._block:
            output, losses, wanted = (torch.cat(parts) for parts in zip(*self._block, strict=True))
            self._block, self._rows = [], 0
            known = wanted.float().where(wanted != UNKNOWN, torch.nan) if self.task == "multilabel" else wanted
            self.loss.update(losses, known_share(self.task, known))
            output = output.float()
            # Else torchmetrics takes logits that happen to lie in [0, 1] for probabilities.
            self.metrics.update(output.sigmoid() if self.task == "multilabel" else output, wanted)


def metric_names(task: Task, num_classes: int, stage: str, columns: Sequence[str] = ()) -> list[str]:
    """List what a stage logs, for the check of names to monitor; columns are those of a regression that has several."""
    names = [*map(str, build_metrics(task, num_classes, stage).keys())]
    is_several = task == "regression" and len(columns) > 1
    each = [f"{name}_{column}" for name in names for column in columns] if is_several else []
    return [f"{stage}/loss", *names, *each]
