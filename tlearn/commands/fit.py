"""The verb ``fit``, and `tlearn.fit`: train a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Timer

from tlearn.base.errors import TlearnError
from tlearn.base.notebook.html_table import html_table, metric_rows
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import with_data
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.cli.transfer_cli import TransferCLI
from tlearn.cli.transfer_cli import run as run_verb
from tlearn.commands.compare.folds import FoldedRun, fit_folds
from tlearn.commands.race.hint import say_what_training_costs
from tlearn.commands.race.race import race
from tlearn.deploy.predictor import Predictor
from tlearn.deploy.predictor import load as load_predictor
from tlearn.reporting.card.files import read_card
from tlearn.training.callbacks.checkpoints import best_checkpoint, last_checkpoint, run_folder
from tlearn.training.typed import callbacks_of, is_trial

Status = Literal["finished", "interrupted"]


@dataclass(frozen=True)
class Run:
    """A run that `fit` trained.

    Attributes:
        folder: The run folder with config, checkpoints and report; ``None`` if the trial ``trainer.fast_dev_run``
            wrote nothing.
        metrics: Metric names such as ``val/acc`` to values, of the epoch that `checkpoint` holds.
        checkpoint: ``best.ckpt``; ``last.ckpt`` if nothing validated; ``None`` if there is neither.
        status: ``interrupted`` if ``trainer.max_time`` ended it, so that it can be resumed; else ``finished``.
    """

    folder: Path | None
    metrics: dict[str, float]
    checkpoint: Path | None
    status: Status

    def _repr_html_(self) -> str:
        """Show the run in a notebook."""
        rows = [*metric_rows(self.metrics), ("checkpoint", self.checkpoint), ("folder", self.folder)]
        return html_table(rows, caption=f"Run, {self.status}")

    @cached_property
    def predictor(self) -> Predictor:
        """The trained network, loaded when it is first used.

        Raises:
            TlearnError: The run has no checkpoint.
        """
        if self.checkpoint is None:
            raise TlearnError("this run wrote no checkpoint to load; fit without trainer.fast_dev_run")
        return load_predictor(self.checkpoint)


_Config = str | Path | Mapping[str, Any] | None


@overload
def fit(
    config: _Config = None,
    options: Mapping[str, Any] | None = None,
    *,
    data: LightningDataModule | None = None,
    ckpt_path: str | Path | None = None,
    resume: Literal["auto"] | None = None,
    find_lr: bool = False,
    folds: None = None,
    budget: str | None = None,
) -> Run: ...
@overload
def fit(
    config: _Config = None,
    options: Mapping[str, Any] | None = None,
    *,
    data: LightningDataModule | None = None,
    ckpt_path: str | Path | None = None,
    resume: Literal["auto"] | None = None,
    find_lr: bool = False,
    folds: int,
) -> FoldedRun: ...
def fit(
    config: _Config = None,
    options: Mapping[str, Any] | None = None,
    *,
    data: LightningDataModule | None = None,
    ckpt_path: str | Path | None = None,
    resume: Literal["auto"] | None = None,
    find_lr: bool = False,
    folds: int | None = None,
    budget: str | None = None,
) -> Run | FoldedRun:
    """Train a network, as ``tlearn fit`` does.

    Args:
        config: A folder of pictures, trained on as ``folder.yaml`` says, or a table, as ``table.yaml`` does; the path
            of a YAML config, the name of one that ships with tlearn, such as ``finetune.yaml``, or a nested mapping of
            the same content.
        options: Dotted option names to values, such as ``{"model.freeze_backbone": True, "trainer.max_epochs": 2}``.
            They beat the config.
        data: A data module, one of tlearn's or any with ``(images, labels)``, in place of the config's.
        ckpt_path: A checkpoint or run folder to resume exactly.
        resume: ``auto`` resumes the newest unfinished run of this name, if there is one.
        find_lr: Find the learning rate by a range test before the first step.
        folds: Fit so many times, from 2 on, and validate on another fold of the training images each time. Runs that
            are finished are not done again.
        budget: A time, such as ``10m``, or ``auto``: the head is solved, then networks are trained in a race for this
            time, and the best of it, or an average of two, is the run. Typed again, a race that was stopped goes on.

    Returns:
        The run; with ``folds`` what all of them answered to images that they had not seen.

    Raises:
        TlearnError: A fault in the config, the options, the data or the machine; the command line prints the same line.
        KeyboardInterrupt: Ctrl-C; the run can be resumed.
    """
    words = {"ckpt_path": ckpt_path, "resume": resume, "folds": folds, "budget": budget}
    with called_from_python():
        given = {**(options or {}), **{name: value for name, value in words.items() if value is not None}}
        arguments = with_data(arguments_of("fit", config, given), data)
        arguments.options.extend(["--find_lr"] if find_lr else [])
        if budget is not None:
            return _run_in(race(arguments))
        return run(arguments) if folds is None else fit_folds(arguments)[0]


def run(arguments: Arguments) -> Run:
    """Train as a command line says."""
    cli = run_verb(arguments)
    say_what_training_costs(arguments, cli)
    return run_of(cli)


def _run_in(folder: Path) -> Run:
    """Return the finished run in a folder."""
    best: dict[str, Any] = read_card(folder).get("best") or {}
    return Run(folder, best.get("metrics", {}), folder / best.get("checkpoint", "checkpoints/best.ckpt"), "finished")


def run_of(cli: TransferCLI) -> Run:
    """Return the run of a command line that has run."""
    trainer = cli.trainer
    best, last = best_checkpoint(trainer), last_checkpoint(trainer)
    score = None if best is None else best.best_model_score
    if best is not None and score is not None:
        metrics = best.metrics or {str(best.monitor): float(score)}
        checkpoint: Path | None = Path(best.best_model_path)
    else:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint = last if last is not None and last.is_file() else None
    return Run(None if is_trial(trainer) else run_folder(trainer), metrics, checkpoint, _status(trainer))


def _status(trainer: Trainer) -> Status:
    epochs, steps = trainer.max_epochs, trainer.max_steps
    if (epochs is not None and 0 <= epochs <= trainer.current_epoch) or 0 <= steps <= trainer.global_step:
        return "finished"
    left_s = [callback.time_remaining() for callback in callbacks_of(trainer) if isinstance(callback, Timer)]
    return "interrupted" if any(each is not None and each <= 0 for each in left_s) else "finished"
