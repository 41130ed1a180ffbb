"""``best.ckpt`` and ``last.ckpt``: written completely or not at all, and read without executing any code."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from tlearn.base.errors import TlearnError
from tlearn.base.files import whole_file
from tlearn.models.calibration import AS_TRAINED, CalibratedOn
from tlearn.models.state import check_weights
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.checkpoint_content import make_readable, size_bytes, snapshot
from tlearn.training.evaluation import Outputs
from tlearn.training.exact_resume import finished_epochs
from tlearn.training.module import model_of

log = logging.getLogger(__name__)

# A checkpoint that replaces another waits until writing takes no more than this share of the time.
_WRITING_SHARE = 1 / 50


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write to a temporary file in the same folder and rename it, so that a killed run never leaves half a checkpoint.

    Lightning's own temporary file lies in another folder, from where a rename need not be atomic.

    If epochs are short, as for a head on cached features, writing 45 MB takes longer than an epoch. A checkpoint that
    replaces an older file then waits in memory, where a newer one may take its place. It is written as soon as someone
    reads it or the run ends, even by an error. A killed run loses at most 50 write times, a few seconds.

    Attributes:
        lost: A checkpoint could not be written, so the files are those of an earlier epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost = False
        self._waiting: dict[Path, dict[str, Any]] = {}
        self._due_s: dict[Path, float] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint, now or later; the older file stays until the new one is complete.

        Raises:
            TlearnError: The weights are not finite, an object could not be read again, or the disk refuses.
        """
        path = Path(path)
        make_readable(checkpoint)
        check_weights(checkpoint, path)
        if path.exists() and monotonic() < self._due_s.get(path, 0.0):
            self._waiting.pop(path, None)  # moves to the end: files are written in the order of their last change
            self._waiting[path] = snapshot(checkpoint)
            return
        self._waiting.pop(path, None)
        self.flush()  # best.ckpt before the last.ckpt that refers to it
        self._write(checkpoint, path)

    def flush(self) -> None:
        """Write the checkpoints that wait.

        After an error the rest is dropped: last.ckpt must not refer to a best.ckpt that does not exist.

        Raises:
            TlearnError: The disk refuses. The files of an earlier epoch stay.
        """
        try:
            while self._waiting:
                path = next(iter(self._waiting))
                self._write(self._waiting.pop(path), path)
        finally:
            self._waiting.clear()

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the file, and the checkpoint that waits to replace it."""
        self._waiting.pop(Path(path), None)
        super().remove_checkpoint(path)

    def teardown(self) -> None:
        """Write the checkpoints that wait; Lightning calls this at the end of a run, also after an error or Ctrl-C."""
        self.flush()

    def _write(self, checkpoint: dict[str, Any], path: Path) -> None:
        start_s = monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lost = True  # until the file is complete
        with whole_file(path, size_bytes(checkpoint)) as partial:
            torch.save(checkpoint, partial)
        self.lost = False
        end_s = monotonic()
        self._due_s[path] = end_s + (end_s - start_s) / _WRITING_SHARE

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint with ``weights_only=True``, whatever the arguments say; errors name the file."""
        self.flush()
        return read_checkpoint(path)


class _RunCheckpoint(ModelCheckpoint):
    """Keeps one file of a fixed name, and finds it again when the run folder was moved or renamed."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(filename=name, save_on_train_epoch_end=True, enable_version_counter=False, **options)

    def put_into(self, folder: str | Path) -> None:
        """Write into ``checkpoints/`` of this run folder; by default it is that of the trainer's logger."""
        self.dirpath = str(Path(folder, "checkpoints").expanduser().resolve())

    @cached_property
    def state_key(self) -> str:
        """The key of this callback in checkpoints. Lightning asks for it at every hook, and would build it anew."""
        return super().state_key

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best result so far if its file is in this run's folder; otherwise start without one.

        Lightning compares how the folders are spelled, and forgets the best result if they differ. The next epoch, even
        a worse one, would then overwrite ``best.ckpt``.
        """
        here = str(Path(self.dirpath or "", Path(state_dict["best_model_path"]).name))
        if state_dict["best_model_path"] and Path(here).is_file():
            score = state_dict["best_model_score"]
            best = {"best_model_path": here, "kth_best_model_path": here, "best_k_models": {here: score}}
            super().load_state_dict({**state_dict, **best, "dirpath": self.dirpath})


class BestCheckpoint(_RunCheckpoint):
    """Keep the weights of the epoch with the best validation result as ``checkpoints/best.ckpt``.

    Args:
        monitor: ``val/acc``, or ``val/loss`` for a regression. Never a test metric.

    Attributes:
        best_epoch: The epoch of ``best.ckpt``, counted from 1; ``None`` before there is one.
        metrics: The metrics of that epoch; empty if it was trained before a resume.
        outputs: The validation answers of that epoch; ``None`` if it was trained before a resume.
        calibration: What turned the logits of that epoch into probabilities.
        calibrated_on: What it was fitted to; ``None`` if the epoch was trained before a resume.
    """

    def __init__(self, monitor: str) -> None:
        self.best_epoch: int | None = None
        self.metrics: dict[str, float] = {}
        self.outputs: Outputs | None = None
        self.calibration = AS_TRAINED
        self.calibrated_on: CalibratedOn | None = None
        mode: Literal["min", "max"] = "min" if monitor.endswith("loss") else "max"
        super().__init__("best", monitor=monitor, mode=mode)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare this epoch with the best one, unless no validation has run yet."""
        if self.monitor in trainer.callback_metrics:
            super().on_train_epoch_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Add the epoch of the best result."""
        return {**super().state_dict(), "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best result and its epoch."""
        super().load_state_dict(state_dict)
        if self.best_model_path:
            self.best_epoch = state_dict.get("best_epoch")

    def take_from_disk(self) -> None:
        """Read the best result and its epoch from ``best.ckpt``, if there is one."""
        path, self.best_model_path, self.best_model_score, self.best_epoch = Path(self.best_model_path), "", None, None
        if path.is_file():
            with suppress(TlearnError, KeyError):
                self.load_state_dict(read_checkpoint(path)["callbacks"][self.state_key])
        if self.outputs is not None and self.outputs.epoch != self.best_epoch:
            self.metrics, self.outputs, self.calibrated_on = {}, None, None

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self.best_epoch = trainer.current_epoch + 1
        super()._save_checkpoint(trainer, filepath)
        module = model_of(trainer)
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.outputs = module.evaluation.last
        self.calibration, self.calibrated_on = module.calibration, module.calibrated_on


class LastCheckpoint(_RunCheckpoint):
    """Keep the newest epoch as ``checkpoints/last.ckpt``, from which a run is resumed, with or without validation."""

    def __init__(self) -> None:
        super().__init__("last")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoints that wait, before loggers and other processes read them."""
        super().on_train_end(trainer, pl_module)
        flush_checkpoints(trainer)
        trainer.strategy.barrier()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the checkpoints that wait, also after an error."""
        super().on_exception(trainer, pl_module, exception)
        flush_checkpoints(trainer)


class WrittenCheckpointsCallback(Callback):
    """Write the checkpoints that wait at the end of training, before other callbacks report them.

    The checkpoint callbacks cannot do this: Lightning moves them to the end of the list.
    """

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them.

        Raises:
            TlearnError: The disk refuses.
        """
        flush_checkpoints(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write them; a disk that refuses does not hide the error that ended the run."""
        try:
            flush_checkpoints(trainer)
        except TlearnError as error:
            log.warning("%s", error)
        best = best_checkpoint(trainer)
        if best is not None and checkpoint_lost(trainer):
            best.take_from_disk()


def checkpoint_lost(trainer: Trainer) -> bool:
    """Tell whether a checkpoint could not be written, so the files are those of an earlier epoch."""
    return getattr(trainer.strategy.checkpoint_io, "lost", False)


def saved_epochs(trainer: Trainer) -> int:
    """Return the number of finished epochs in the ``last.ckpt`` on the disk."""
    path = last_checkpoint(trainer)
    if path is None or not path.is_file():
        return 0
    return finished_epochs(read_checkpoint(path))


def flush_checkpoints(trainer: Trainer) -> None:
    """Write the checkpoints that wait in memory."""
    if isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO):
        trainer.strategy.checkpoint_io.flush()


def best_checkpoint(trainer: Trainer) -> BestCheckpoint | None:
    """Return the callback that keeps ``best.ckpt``, or ``None``."""
    return next((c for c in trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint)), None)


def last_checkpoint(trainer: Trainer) -> Path | None:
    """Return the path of ``last.ckpt``, also before it is written; ``None`` if this run writes none."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, LastCheckpoint) and callback.dirpath:
            return Path(callback.dirpath, "last.ckpt")
    return None


def run_folder(trainer: Trainer) -> Path:
    """Return the folder that holds everything of a run."""
    if (last := last_checkpoint(trainer)) is not None:
        return last.parent.parent
    # Not `trainer.log_dir`: it broadcasts, and the other processes may not take part.
    logger = trainer.logger
    return Path(getattr(logger, "log_dir", None) or getattr(logger, "save_dir", None) or trainer.default_root_dir)
