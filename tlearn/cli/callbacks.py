"""The callbacks of a run: one list in four phases, whose order constraints are checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar

from tlearn.base.errors import TlearnError
from tlearn.deploy.drift.callback import DriftCallback
from tlearn.deploy.prediction_writer import PredictionWriterCallback
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.reporting.card.callbacks import RunCardCallback, TestCardCallback
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.evaluation_figures import EvaluationPagesCallback
from tlearn.reporting.evidence import ReliabilityCallback
from tlearn.reporting.history import OneHistoryCallback
from tlearn.reporting.own_names import names_to_resume
from tlearn.reporting.parameters import ParameterSummaryCallback
from tlearn.reporting.pictures import InputPicturesCallback
from tlearn.reporting.projector import ProjectorCallback
from tlearn.reporting.step_metrics import (
    BusyCoresCallback,
    GradientNormCallback,
    LearningRatesCallback,
    StepLossCallback,
    ThroughputCallback,
)
from tlearn.reporting.tensorboard.hparams import HyperParametersCallback
from tlearn.reporting.terminal.bar import LeanProgressBar
from tlearn.reporting.terminal.epochs import EpochLinesCallback
from tlearn.reporting.terminal.outcome import EvaluationOutcomeCallback, OutcomeCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint, WrittenCheckpointsCallback
from tlearn.training.callbacks.freeze_audit import FreezeAuditCallback
from tlearn.training.callbacks.guards import FiniteLossCallback, MonitorCheckCallback
from tlearn.training.callbacks.out_of_fold import OutOfFoldCallback
from tlearn.training.callbacks.run_folder import RunRecordCallback
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.exact_resume import TrainedStepsCallback
from tlearn.training.module import TransferModule
from tlearn.training.strategies.feature_cache import FeatureCacheCallback
from tlearn.training.strategies.lr_finder import LearningRateFinderCallback
from tlearn.training.strategies.solved_head import HeadProbeCallback
from tlearn.training.strategies.wise_ft import WiseFTCallback


@dataclass
class Phases:
    """The callbacks of a fit, in the order in which the trainer calls them at each hook.

    Attributes:
        watch: They refuse or end a bad run, measure and draw. They begin before anything has changed the network, so
            that the time of the run includes what `change` takes.
        change: They change the network, or what it trains on.
        record: They write what the run was and say how it ended.
        save: The checkpoints. Lightning moves them to the end of any list.
    """

    watch: list[Callback] = field(default_factory=list)
    change: list[Callback] = field(default_factory=list)
    record: list[Callback] = field(default_factory=list)
    save: list[Callback] = field(default_factory=list)

    def in_order(self) -> list[Callback]:
        """Return one list of all, whose order is checked."""
        callbacks = [*self.watch, *self.change, *self.record, *self.save]
        check_order(callbacks)
        return callbacks


@dataclass(frozen=True)
class FitRun:
    """What the callbacks of ``fit`` depend on.

    Attributes:
        trainer: The options of the trainer.
        model: The network.
        config: The whole config as plain values.
        command: The command as it was typed.
        finds_rate: A range test finds the learning rate.
        resumed: The checkpoint from which a run continues in its own folder.
        resumed_steps: The steps of the optimizer that this checkpoint has behind it.
        requeues: The command continues by itself when it is run again.
    """

    trainer: Mapping[str, Any]
    model: TransferModule
    config: dict[str, Any]
    command: str
    finds_rate: bool = False
    resumed: Path | None = None
    resumed_steps: int | None = None
    requeues: bool = False


def fit_callbacks(run: FitRun) -> list[Callback]:
    """Return the callbacks of ``fit``. A trial (``fast_dev_run``) writes no file."""
    audit, ending = FreezeAuditCallback(), EndingCallback()
    logs = bool(run.trainer["logger"])
    shows: list[Callback] = [*progress_bar(run.trainer), EpochLinesCallback(), ParameterSummaryCallback()]
    phases = Phases(
        watch=[*_guards(audit, ending), *shows, *_measures(logs), *(_pictures() if logs else [])],
        change=_changes(run.model, run.finds_rate),
        record=[StopCallback(names_to_resume(run.config), requeues=run.requeues)],
        save=_checkpoints(run.model, run.trainer) if run.trainer["enable_checkpointing"] is not False else [],
    )
    if not run.trainer["fast_dev_run"]:
        phases.watch += [
            OutOfFoldCallback(),
            ReliabilityCallback(),
            RunCardCallback(run.command, run.config, audit, ending),
        ]
        written = [RunRecordCallback(run.config, resumed=run.resumed), OneHistoryCallback(run.resumed_steps)]
        phases.record[:0] = [*written, HyperParametersCallback(run.config), OutcomeCallback(ending, run.config)]
    return phases.in_order()


def evaluation_callbacks(
    verb: str,
    trainer: Mapping[str, Any],
    config: dict[str, Any],
    command: str,
    checkpoint: Path | None,
    reached: tuple[int, int],
) -> list[Callback]:
    """Return the callbacks of ``validate`` and ``test``.

    Args:
        verb: Which of them.
        trainer: The options of the trainer.
        config: The whole config as plain values.
        command: The command as it was typed.
        checkpoint: What is evaluated; only a test of a checkpoint is reported.
        reached: The epochs and steps that the checkpoint has behind it.
    """
    callbacks: list[Callback] = [TrainedStepsCallback(*reached), *progress_bar(trainer)]
    if verb == "test" and checkpoint is not None:
        callbacks.append(EvaluationPagesCallback())
        if not trainer["fast_dev_run"]:
            callbacks.append(TestCardCallback(command, config, checkpoint))
    if checkpoint is not None:
        callbacks.append(EvaluationOutcomeCallback(verb, checkpoint, config))
    check_order(callbacks)
    return callbacks


def prediction_callbacks(
    trainer: Mapping[str, Any], out: Path | None, top_k: int, reliability: ReliabilityOptions
) -> list[Callback]:
    """Return the callbacks of ``predict``; see `PredictionWriterCallback`."""
    return [*progress_bar(trainer), PredictionWriterCallback(out, top_k, reliability), DriftCallback()]


def callbacks_for(
    model: TransferModule,
    *,
    folder: str | Path | None = None,
    find_lr: bool = False,
    checkpoints: bool = True,
    pictures: bool = False,
) -> list[Callback]:
    """Return what the command line adds to a fit, for a Trainer of your own.

    ``Trainer(callbacks=tlearn.callbacks_for(model))`` then trains the weights that ``tlearn fit`` trains with
    the same options and seed. The list holds the feature cache, the solved head and WiSE-FT where the model asks for
    them, the freeze audit, the end of a run whose loss is not finite, the check of monitors, ``best.ckpt`` and
    ``last.ckpt``, and the curves of the steps. Make a new list for each Trainer. Put callbacks of your own in front of
    it: ``[EMAWeightAveraging(), *tlearn.callbacks_for(model)]``.

    Args:
        model: Its options decide which callbacks are needed.
        folder: Where to write ``card.json``, ``card.md``, ``report.html`` and ``checkpoints/``. By default no card is
            written, and the checkpoints lie where the Trainer's logger writes.
        find_lr: Find the learning rate by a range test before the first step.
        checkpoints: Keep ``best.ckpt`` and ``last.ckpt``. Set it to false with ``Trainer(enable_checkpointing=False)``.
        pictures: Draw for TensorBoard what the command line draws: confusion matrix, worst mistakes, Grad-CAM, inputs
            and the projector of the features.

    Raises:
        TlearnError: ``find_lr`` with a head that is solved, or a card or WiSE-FT without checkpoints.
    """
    if not checkpoints and (folder is not None or model.head_start.wise_ft):
        what = "folder" if folder is not None else "model.wise_ft"
        raise TlearnError(f"{what} needs checkpoints, and checkpoints is False; set it to True, or drop {what}")
    audit, ending = FreezeAuditCallback(), EndingCallback()
    phases = Phases(
        watch=[*_guards(audit, ending), *_measures(True), *(_pictures() if pictures else [])],
        change=_changes(model, find_lr),
    )
    kept = [BestCheckpoint(_monitor(model)), LastCheckpoint()] if checkpoints else []
    phases.save += kept
    if folder is not None:
        for callback in kept:
            callback.put_into(folder)
        phases.watch += [OutOfFoldCallback(), ReliabilityCallback(), RunCardCallback(None, None, audit, ending)]
    return phases.in_order()


def check_order(callbacks: Sequence[Callback]) -> None:
    """Check the constraints that the classes of callbacks declare.

    A class may list in its attribute ``after`` the types that it must follow, and in ``before`` those that it must
    precede. Types that are not in the list do not matter.

    Args:
        callbacks: In the order in which a trainer calls them.

    Raises:
        RuntimeError: Two of them stand in the wrong order: a fault of the program, not of its user.
    """
    for position, callback in enumerate(callbacks):
        for word, others in (("after", callbacks[position + 1 :]), ("before", callbacks[:position])):
            wrong = [each for each in others if isinstance(each, getattr(callback, word, ()))]
            if wrong:
                names = f"{type(callback).__name__} must stand {word} {type(wrong[0]).__name__}"
                raise RuntimeError(f"wrong order of callbacks: {names}")


def progress_bar(trainer: Mapping[str, Any]) -> list[Callback]:
    """Return the progress bar, unless the trainer's options ask for none, or the user brings one."""
    brought = any(isinstance(each, ProgressBar) for each in trainer.get("callbacks") or [])
    return [LeanProgressBar()] if trainer["enable_progress_bar"] and not brought else []


def head_and_rate(model: TransferModule, finds_rate: bool) -> list[Callback]:
    """Return what solves the head, if the model asks for it, and what finds the learning rate.

    Raises:
        TlearnError: A learning rate is to be found for a head that is solved.
    """
    if finds_rate and (option := model.without_steps):
        raise TlearnError(f"{option} takes no steps; drop --find_lr")
    head: list[Callback] = [HeadProbeCallback()] if model.head_start.solves_head else []
    return [*head, *([LearningRateFinderCallback()] if finds_rate else [])]


def _changes(model: TransferModule, finds_rate: bool) -> list[Callback]:
    mixture = [WiseFTCallback()] if model.head_start.wise_ft else []
    return [FeatureCacheCallback(), *head_and_rate(model, finds_rate), *mixture]


def _guards(audit: FreezeAuditCallback, ending: EndingCallback) -> list[Callback]:
    return [WrittenCheckpointsCallback(), FiniteLossCallback(), ending, MonitorCheckCallback(), audit]


def _measures(logs: bool) -> list[Callback]:
    rates = [LearningRatesCallback()] if logs else []
    return [ThroughputCallback(), StepLossCallback(), GradientNormCallback(), BusyCoresCallback(), *rates]


def _pictures() -> list[Callback]:
    return [EvaluationPagesCallback(), InputPicturesCallback(), ProjectorCallback()]


def _checkpoints(model: TransferModule, trainer: Mapping[str, Any]) -> list[Callback]:
    validates = trainer["limit_val_batches"] != 0
    return [*([BestCheckpoint(_monitor(model))] if validates else []), LastCheckpoint()]


def _monitor(model: TransferModule) -> str:
    return "val/acc" if model.task == "classification" else "val/loss"
