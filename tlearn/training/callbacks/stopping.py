"""Ctrl-C, SIGTERM and SLURM's warning end ``fit`` between two steps, with a checkpoint that resumes there."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer, WeightAveraging
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tlearn.base.next_command import resume_command
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint, flush_checkpoints, last_checkpoint
from tlearn.training.exact_resume import steps_done
from tlearn.training.typed import callbacks_of, is_trial

log = logging.getLogger(__name__)

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class StopCallback(Callback):
    """On a signal, finish the step, write ``last.ckpt``, and end the run as Lightning does after a SIGTERM.

    The exit code is 128 plus the number of the signal, as in a shell: 130 for Ctrl-C, 143 for SIGTERM, and 138 for
    SIGUSR1, which SLURM sends before a job's time is over (``#SBATCH --signal=USR1@120``). After SIGUSR1 a SLURM job is
    also requeued, if it resumes by itself, that is with ``resume: auto``. These handlers replace Lightning's, which
    would save within a step and resume elsewhere, or stop while gradients are accumulated.

    A validation stops at its next batch. Before the first step there is nothing to save, so the run ends at once. A
    second signal also ends it at once. A file that is being written then stays as it was.

    Args:
        own: Options that the command which resumes has to type, for they name code of the user's own.
        requeues: The command resumes by itself when it is run again.

    Attributes:
        again: The command that goes on where the run is a part of something larger; else it is resumed by itself.
    """

    # A run that a signal ends inside an epoch continues there; these would take the epoch for finished.
    before: ClassVar = (BestCheckpoint, LastCheckpoint)

    def __init__(self, own: Sequence[str] = (), requeues: bool = False) -> None:
        self.own, self.requeues = own, requeues
        self.again: str | None = None
        self._asked: int | None = None
        self._steps = self._saved = self._trains = False
        self._is_first = True  # of several processes: rank 0
        self._before: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count ``trainer.max_time`` from here; otherwise a run that it ended could not be resumed."""
        for callback in callbacks_of(trainer):
            if isinstance(callback, Timer):
                callback._offset = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is something to train."""
        self._trains = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn if a limit left nothing to train; Lightning does not say so."""
        if not self._trains and trainer.is_global_zero:
            log.warning(
                "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches leaves no step"
            )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals while ``fit`` runs. Outside the main thread Python allows no handlers."""
        if threading.current_thread() is threading.main_thread():
            # A signal that is ignored stays ignored: nohup, and shells for background jobs, set it so.
            handlers = {number: signal.getsignal(number) for number in _SIGNALS}
            self._before = {number: was for number, was in handlers.items() if was not in (None, signal.SIG_IGN)}
        self._pid = os.getpid()
        self._take_signals()
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            if self._asked == getattr(signal, "SIGUSR1", 0) and self._saved and self._is_first and self.requeues:
                _requeue()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop here if the step before was saved; from the first step on a signal waits for the end of its step."""
        self._stop_if_saved()
        if not self._steps:
            self._steps, self._is_first = True, trainer.is_global_zero
            self._take_signals()  # Lightning has installed its own meanwhile

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if a signal came, unless gradients of this step are still being accumulated."""
        if steps_done(trainer) and self._is_asked(trainer):
            self._save(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before a validation; the resumed run does it."""
        self._stop_if_saved()

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Save and stop within a validation, unless it uses averaged weights in place of the trained ones.

        With several processes it runs to its end: they may have different numbers of batches, and would wait forever
        for each other's answer.
        """
        if trainer.world_size > 1:
            return
        averages = any(isinstance(each, WeightAveraging) for each in callbacks_of(trainer))
        if self._steps and not averages and self._is_asked(trainer):
            self._save(trainer)
            self._stop_if_saved()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop between two epochs, whose checkpoint is already written."""
        if self._steps and self._is_asked(trainer):
            self._saved = True
        self._stop_if_saved()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop after the last step of an epoch without validation."""
        self._stop_if_saved()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal ends the run at once."""
        self._steps = False

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say what happened, and how to resume.

        After a `KeyboardInterrupt` the command line has something to say too: it prints these notes behind it.
        """
        if not isinstance(exception, (KeyboardInterrupt, SIGTERMException)) or not trainer.is_global_zero:
            return
        said = self._how_to_resume(trainer)
        if isinstance(exception, KeyboardInterrupt):
            exception.add_note(said)
        else:
            sys.stderr.flush()
            print(said, flush=True)

    def _how_to_resume(self, trainer: Trainer) -> str:
        path = last_checkpoint(trainer)
        if path is None or not path.is_file():
            return "stopped before the first checkpoint; the same command starts anew"
        where = f"after step {trainer.global_step}" if self._saved else "without saving"
        return f"stopped {where}\nto go on: {self.again or resume_command(path, self.own)}"

    def is_signalled(self) -> bool:
        """Tell whether this process has had a signal."""
        return self._asked is not None

    def _is_asked(self, trainer: Trainer) -> bool:
        """Tell whether any process has had a signal, so that all stop at the same step."""
        return bool(trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False))

    def _save(self, trainer: Trainer) -> None:
        path = last_checkpoint(trainer)
        if path is not None and not is_trial(trainer):
            trainer.save_checkpoint(path)
            flush_checkpoints(trainer)
            trainer.strategy.barrier()  # the first process writes
        self._saved = True

    def _stop_if_saved(self) -> None:
        """End the run if it was saved.

        Only rank 0 exits with the signal's code; a launcher would treat a non-zero code of another rank as a crash.
        """
        if self._saved:
            raise SIGTERMException(128 + (self._asked or signal.SIGTERM) if self._is_first else 0)

    def _take_signals(self) -> None:
        for number in self._before:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid or self._saved:
            return  # a data worker, which serves until this process stops; or the run is already ending
        waits = self._steps and self._asked is None
        self._asked = number
        if waits:
            # Not print: the signal may have interrupted a print. On a terminal a line of progress is erased first.
            erase, name = "\r\x1b[2K" if os.isatty(2) else "", signal.Signals(number).name
            os.write(
                2, f"{erase}{name}: fit saves and stops after this step; a second {name} stops it at once\n".encode()
            )
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SIGTERMException(128 + number)


class _EndingLoop(_FitLoop):
    """A fit loop that calls the hooks of begin and end even if no step is left; Lightning's skips both."""

    @property
    def skip(self) -> bool:
        return False


def end_only(trainer: Trainer) -> None:
    """Let the next ``fit`` only write what a run writes at its end, for a run that was killed after its last step."""
    before = trainer.fit_loop
    trainer.fit_loop = _EndingLoop(trainer, before.min_epochs, before.max_epochs)
    trainer.fit_loop.epoch_loop = before.epoch_loop


def _requeue() -> None:
    """Ask SLURM to run this job again; do nothing outside of SLURM."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
        log.info("job %s is queued anew", job)
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("job %s could not be queued anew: %s", job, error)
