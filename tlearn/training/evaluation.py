"""Answers of an evaluation, gathered once for all that read them, and the temperature fitted on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.base.processes import gathered
from tlearn.base.types import Batch
from tlearn.models.calibration import fit_temperature
from tlearn.training.module import model_of


class Outputs(NamedTuple):
    """The answers of one pass. N images, K classes.

    Attributes:
        split: ``val`` or ``test``.
        epoch: Counted from 1; that of the checkpoint in a test, 0 where nothing was trained.
        logits: float32 (N, K), or values (N, K), on the CPU.
        targets: Class numbers (N,), 0 and 1 (N, K) for several labels, values (N, K).
        indices: int64 (N,), positions in the source.
    """

    split: str
    epoch: int
    logits: Tensor
    targets: Tensor
    indices: Tensor


class EvaluationOutputsCallback(Callback):
    """Keep the answers of the last validation or test pass; the sanity check is none.

    Args:
        epoch: Of the checkpoint that is validated or tested; a fit counts its own.

    Attributes:
        last: Of the pass that ended last; ``None`` before the first.
    """

    def __init__(self, epoch: int = 0) -> None:
        self.last: Outputs | None = None
        self._epoch = epoch
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def stages(self, epoch: int) -> tuple[str, ...]:
        """Return how the names of metrics begin that an epoch, counted from 1, has: without validation, one kind."""
        return ("train/", "val/") if self.last is not None and self.last.epoch == epoch else ("train/",)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._parts = []

    on_test_start = on_validation_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch."""
        if not trainer.sanity_checking:
            self._parts.append((outputs["output"], batch.targets, batch.indices))

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches of all processes together, before callbacks that come later in the list look at them."""
        self._gather("val", trainer)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches together."""
        self._gather("test", trainer)

    def _gather(self, split: str, trainer: Trainer) -> None:
        if not self._parts:
            return
        logits, targets, indices = (torch.cat(gathered(torch.cat(parts))) for parts in zip(*self._parts, strict=True))
        self._parts = []
        epoch = trainer.current_epoch + 1 if trainer.state.fn == "fit" else self._epoch
        order = indices.argsort()  # that of the source, in which one process serves them
        self.last = Outputs(split, epoch, logits.float()[order], targets[order], indices[order])


class TemperatureCallback(Callback):
    """Fit ``module.temperature`` on the validation images of each epoch, before its checkpoint is written.

    Only ``fit`` does so: validating or testing a checkpoint leaves the temperature that it was written with.

    Args:
        outputs: Gathers the answers; it stands before this callback in the trainer's list.
    """

    def __init__(self, outputs: EvaluationOutputsCallback) -> None:
        self.outputs = outputs

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit it, and log it as ``val/temperature``."""
        module = model_of(trainer)
        found = self.outputs.last
        if module.task == "regression" or trainer.sanity_checking or trainer.state.fn != "fit" or found is None:
            return
        module.temperature = fit_temperature(module.task, found.logits, found.targets)
        module.log("val/temperature", module.temperature)
