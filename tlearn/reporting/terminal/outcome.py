"""The end of ``fit``, ``validate`` and ``test``: a small table of the result, and last of all the next command."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tlearn.base.intervals import share_words
from tlearn.base.machine import FULL_PRECISION
from tlearn.base.next_command import next_command, resume_command
from tlearn.base.places import run_folder_of
from tlearn.models.calibration import calibrated_words
from tlearn.reporting.card.callbacks import RunCardCallback
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.own_names import names_to_resume, own_names
from tlearn.reporting.terminal.results import Row, images_of, result_rows, right_answers, short_rows, table
from tlearn.training.callbacks.checkpoints import (
    WrittenCheckpointsCallback,
    best_checkpoint,
    checkpoint_lost,
    last_checkpoint,
    run_folder,
)
from tlearn.training.evaluation import Outputs
from tlearn.training.module import model_of
from tlearn.training.typed import data_of

_goes_on = ContextVar("_goes_on", default=False)


@contextmanager
def without_next() -> Iterator[None]:
    """Let what runs inside end without the next command: what it belongs to goes on by itself."""
    before = _goes_on.set(True)
    try:
        yield
    finally:
        _goes_on.reset(before)


class OutcomeCallback(Callback):
    """Print at the very end of ``fit`` the best result, what ended the run, its files, and the next command.

    Args:
        ending: Knows which rule ended the run. Without it the rule is not printed.
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
            for name, path in _report_rows(run_folder(trainer)):
                print(f"{name}: {path}", flush=True)
        elif checkpoint_lost(trainer) and (last := last_checkpoint(trainer)) is not None and last.is_file():
            command = resume_command(last, names_to_resume(self.config))
            _say(*_best_rows(trainer), f"once there is room, to go on: {command}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the outcome, behind whatever other callbacks and Lightning have to say at their end."""
        if not trainer.is_global_zero or stage != "fit":
            return
        facts = self.ending.facts if self.ending else {}
        result, files = _best_rows(trainer)
        if facts and facts["by"] != "max_epochs":
            result.append(("ended", f"in epoch {facts['epoch']}, after step {facts['step']}, by {facts['words']}"))
        files += [*_precision_rows(trainer), *_report_rows(run_folder(trainer))]
        last, kept = last_checkpoint(trainer), _kept(trainer)
        if facts.get("by") == "max_time" and last is not None:
            _say(result, files, f"to go on: {resume_command(last, names_to_resume(self.config))}")
        else:
            _say(result, files, None if kept is None else _next(trainer, kept, "fit", self.config))


class EvaluationOutcomeCallback(Callback):
    """Print at the very end of ``validate`` and ``test`` the result, in place of Lightning's table, and a command.

    Args:
        verb: Which of the two.
        checkpoint: What is evaluated.
        config: As in `OutcomeCallback`.
    """

    def __init__(self, verb: str, checkpoint: Path, config: dict[str, Any]) -> None:
        self.verb, self.checkpoint, self.config = verb, checkpoint, config

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep Lightning from printing its own table."""
        (trainer.test_loop if self.verb == "test" else trainer.validate_loop).verbose = False

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the result."""
        outputs = model_of(trainer).evaluation.last
        if not trainer.is_global_zero or outputs is None:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        metrics = {name: value for name, value in values.items() if name.startswith(f"{outputs.split}/")}
        path = _near(self.checkpoint)
        of = f" (epoch {outputs.epoch})" if outputs.epoch else ""
        files = [("checkpoint", f"{path}{of}"), ("images", images_of(outputs)), *_precision_rows(trainer)]
        if self.verb == "test":
            files += _report_rows(run_folder_of(path) or run_folder(trainer))
        _say(result_rows(metrics, outputs), files, _next(trainer, path, self.verb, self.config))


def _best_rows(trainer: Trainer) -> tuple[list[Row], list[Row]]:
    """Return the rows of the best result and those of its checkpoint, or of the last epoch where nothing validates."""
    best, last = best_checkpoint(trainer), last_checkpoint(trainer)
    if best is None or best.best_model_score is None:
        told = [("result", "no epoch was validated, so none is the best: the last one is kept")]
        return told, [("checkpoint", str(last))] if last is not None and last.is_file() else []
    monitor = str(best.monitor)
    on = f", on {images_of(best.outputs)}" if best.outputs is not None else ""
    planned = f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) >= 0 else ""
    epoch = f"{best.best_epoch}{planned}, by {monitor}{on}" if best.best_epoch else f"by {monitor}{on}"
    metrics = {name: float(value) for name, value in best.metrics.items() if name.startswith("val/")}
    metrics = metrics or {monitor: float(best.best_model_score)}
    result = [("best epoch", epoch), *short_rows(metrics, best.outputs, monitor)]
    result += _out_of_fold_rows(model_of(trainer).out_of_fold)
    if best.calibrated_on is not None:
        result.append(("calibrated", calibrated_words(best.calibration, best.calibrated_on)))
    return result, [("checkpoint", best.best_model_path)]


def _out_of_fold_rows(found: Outputs | None) -> list[Row]:
    """Say how often each training image is answered rightly by a head that has not seen it."""
    right = None if found is None else right_answers(found)
    return [] if found is None or right is None else [("out of fold", f"acc {share_words(right, len(found.targets))}")]


def _kept(trainer: Trainer) -> Path | None:
    """Return the checkpoint that holds the result."""
    best, last = best_checkpoint(trainer), last_checkpoint(trainer)
    if best is not None and best.best_model_score is not None:
        return Path(best.best_model_path)
    return last if last is not None and last.is_file() else None


def _precision_rows(trainer: Trainer) -> list[Row]:
    """Say the precision where it is not the full one."""
    precision = str(trainer.precision)
    if precision == FULL_PRECISION:
        return []
    return [("precision", f"{precision} (full: --trainer.precision {FULL_PRECISION})")]


def _report_rows(folder: Path) -> list[Row]:
    report = folder / "report.html"
    return [("report", str(report))] if report.is_file() else []


def _next(trainer: Trainer, checkpoint: Path, after: str, config: dict[str, Any]) -> str | None:
    if _goes_on.get():
        return None
    asks, own = own_names(data_of(trainer), config)
    return f"next: {next_command(checkpoint, pictures=asks, after=after, own=own)}"


def _near(path: Path) -> Path:
    """Return a path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(result: Sequence[Row], files: Sequence[Row], last: str | None) -> None:
    """Print two tables and a last line, behind what stderr has still to show."""
    sys.stderr.flush()
    print("\n".join(["", *filter(None, [table(result), table(files), last])]), flush=True)
