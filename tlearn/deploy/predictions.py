"""``predictions.csv``: one row per image, written as they come. B images, K classes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from tlearn.models import TransferModule


class PredictionWriterCallback(BasePredictionWriter):
    """Stream predictions to ``predictions.csv`` in the run folder; a second run replaces it whole.

    Columns: ``index`` (position in the image source), ``class`` and ``probability``, or ``value`` for a regression.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="batch")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the file under a temporary name."""
        assert isinstance(pl_module, TransferModule)
        self._target = Path(trainer.log_dir or trainer.default_root_dir) / "predictions.csv"
        self._partial = self._target.with_name(".predictions.csv.partial")
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        columns = ["value"] if pl_module.task == "regression" else ["class", "probability"]
        self._rows.writerow(["index", *columns])

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the rows of a batch."""
        assert isinstance(pl_module, TransferModule)
        self._rows.writerows(prediction_rows(prediction, pl_module.class_names))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the complete file its name."""
        self._file.close()
        self._partial.replace(self._target)
        print(f"predictions: {self._target}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave nothing half-written."""
        if hasattr(self, "_file"):
            self._file.close()
            self._partial.unlink(missing_ok=True)


def prediction_rows(prediction: dict[str, Tensor], class_names: Sequence[str]) -> list[list[Any]]:
    """Turn ``indices`` (B,) with ``probabilities`` (B, K) or ``values`` (B, 1), as ``predict_step`` gives, to rows."""
    indices = prediction["indices"].tolist()
    if "values" in prediction:
        return [[i, f"{v:.6g}"] for i, v in zip(indices, prediction["values"].flatten().tolist(), strict=True)]
    top, number = (x.tolist() for x in prediction["probabilities"].max(dim=1))
    return [[i, class_names[k], f"{p:.6f}"] for i, k, p in zip(indices, number, top, strict=True)]
