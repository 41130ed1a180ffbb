"""Advise where the first step would be, and take none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.analysis.measurements import Facts, gather
from tlearn.analysis.probe import log_curves
from tlearn.training.module import model_of


class AdviseCallback(Callback):
    """Measure everything that a decision needs.

    Args:
        sizes_px: Image sizes to probe; empty for the network's own.
        epochs: Of the strategies that take steps.
        begin_s: Of the command, on the performance counter.
        kept: Options of the model that every strategy is tried with, for they are the user's.

    Attributes:
        facts: ``None`` until they are measured.
    """

    def __init__(
        self, sizes_px: Sequence[int], epochs: int, begin_s: float, kept: Mapping[str, Any] | None = None
    ) -> None:
        self.sizes_px, self.epochs, self.begin_s, self.kept = sizes_px, epochs, begin_s, dict(kept or {})
        self.facts: Facts | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, and log what can be drawn: scores over image sizes, errors over training images."""
        module = model_of(trainer)
        start_s = time.perf_counter() - self.begin_s
        self.facts = gather(trainer, module, self.sizes_px, self.epochs, start_s, self.kept)
        log_curves(trainer, self.facts.probe)
        for point in self.facts.forecast.points if self.facts.forecast else []:
            for logger in trainer.loggers:
                logger.log_metrics({"advise/score_over_images": 1 - point.error}, step=point.images)
        trainer.should_stop = True
