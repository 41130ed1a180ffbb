"""A run in the terminal: a line for each epoch or a progress bar, and the outcome."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from tlearn.base.next_command import next_command, resume_command
from tlearn.reporting.card.callbacks import RunCardCallback
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.own_names import own_names
from tlearn.training.callbacks.checkpoints import (
    WrittenCheckpointsCallback,
    best_checkpoint,
    checkpoint_lost,
    last_checkpoint,
    run_folder,
)
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import model_of
from tlearn.training.typed import data_of

_SHOWN = (
    *("train/loss", "train/acc", "train/f1", "train/mae"),
    *("val/loss", "val/acc", "val/f1", "val/map", "val/mae", "val/r2", "train/images_per_s"),
)


class EpochLinesCallback(Callback):
    """Print one line per epoch: ``epoch 3/20  train/loss 1.2041  val/acc 0.6120  12.3 s``.

    The line is printed when the next epoch starts, because Lightning computes the metrics only after the last hook of
    an epoch.
    """

    before: ClassVar = (StopCallback,)  # which may end the run as soon as an epoch starts

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of a resumed epoch, which has no `on_train_epoch_start`."""
        if trainer.fit_loop.restarted_mid_epoch:
            self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch, if this run trained it."""
        self._print(trainer)
        self._started: float | None = time.perf_counter()
        self._epoch = trainer.current_epoch + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch."""
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        started = getattr(self, "_started", None)
        if started is None or not trainer.is_global_zero:
            return
        metrics, stages = trainer.callback_metrics, model_of(trainer).evaluation.stages(self._epoch)
        shown = [name for name in _SHOWN if name in metrics and name.startswith(stages)]
        values = "  ".join(f"{name} {_short(name, metrics[name])}" for name in shown)
        planned = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) >= 0 else ""
        print(f"epoch {self._epoch}{planned}  {values}  {time.perf_counter() - started:.1f} s", flush=True)
        self._started = None


class OutcomeCallback(Callback):
    """Print at the end of ``fit`` which rule ended it, the best result, its checkpoint, and the next command.

    Args:
        ending: Knows the rule. Without it the rule is not printed.
        config: The whole config as plain values, whose names of the user's own the next command holds.
    """

    # It prints what these have found and written.
    after: ClassVar = (WrittenCheckpointsCallback, EndingCallback, RunCardCallback)

    def __init__(self, ending: EndingCallback | None = None, config: dict[str, Any] | None = None) -> None:
        self.ending, self.config = ending, config or {}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Print where the report is; after a disk error also how to resume. After a signal `StopCallback` says that."""
        if not trainer.is_global_zero:
            return
        if isinstance(exception, (KeyboardInterrupt, SIGTERMException)):
            _say_report(trainer)
        elif checkpoint_lost(trainer) and (last := last_checkpoint(trainer)) is not None and last.is_file():
            _say_best(trainer)
            print(f"once there is room, to go on: {resume_command(last)}", flush=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the outcome."""
        if not trainer.is_global_zero:
            return
        facts, last = self.ending.facts if self.ending else {}, last_checkpoint(trainer)
        if facts and facts["by"] != "max_epochs":
            print(f"ended in epoch {facts['epoch']}, after step {facts['step']}, by {facts['words']}")
        _say_report(trainer)
        if (path := _say_best(trainer)) is not None:
            asks, own = own_names(data_of(trainer), self.config)
            print(f"next: {next_command(Path(path), pictures=asks, own=own)}")
        elif last is not None:
            print(f"no validation ran, so there is no best.ckpt; the last epoch: {last}")
        if facts.get("by") == "max_time" and last is not None:
            print(f"to go on: {resume_command(last)}")


def _say_best(trainer: Trainer) -> str | None:
    """Print the best result, and return the path of its checkpoint."""
    best = best_checkpoint(trainer)
    if best is None or best.best_model_score is None:
        return None
    epoch = f" (epoch {best.best_epoch})" if best.best_epoch else ""
    print(f"best {best.monitor} {best.best_model_score:.4f}{epoch}: {best.best_model_path}")
    return best.best_model_path


def _say_report(trainer: Trainer) -> None:
    report = run_folder(trainer) / "report.html"
    if report.is_file():
        print(f"report: {report}")


def _short(name: str, value: Tensor) -> str:
    return f"{value:.0f}" if name.endswith("_per_s") else f"{value:.4f}"


_DRAWINGS_PER_S = 10  # Lightning's 100 would take 2 % of an epoch of ResNet18 at 32 px


class LeanProgressBar(RichProgressBar):
    """A progress bar that stays on the screen for every epoch, with loss and accuracy only."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=_DRAWINGS_PER_S, leave=True)
        self._drawn_s = float("-inf")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, at most ten times a second."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= 1 / _DRAWINGS_PER_S or trainer.is_last_batch:
            self._drawn_s = now_s
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Leave out the run's number, and the validation metrics of an earlier epoch."""
        metrics = super().get_metrics(trainer, pl_module)
        validated = model_of(trainer).evaluation.validated(trainer.current_epoch + 1)
        old = "v_num" if validated else ("v_num", "val/")
        return {name: value for name, value in metrics.items() if not name.startswith(old)}
