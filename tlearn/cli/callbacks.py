"""Which callbacks say and show what a run of the command line does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from tlearn.reporting.card.callbacks import RunCardCallback, TestCardCallback
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.evaluation_figures import EvaluationPagesCallback
from tlearn.reporting.history import OneHistoryCallback
from tlearn.reporting.hparams import HyperParametersCallback
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
from tlearn.reporting.terminal import EpochLinesCallback, LeanProgressBar, OutcomeCallback
from tlearn.training.freeze_audit import FreezeAuditCallback
from tlearn.training.guards import MonitorCheckCallback


def progress_bar(trainer: Mapping[str, Any]) -> list[Callback]:
    """Choose the progress bar, where one is wanted.

    Args:
        trainer: Its options.
    """
    return [LeanProgressBar()] if trainer["enable_progress_bar"] else []


def fit_callbacks(
    trainer: Mapping[str, Any],
    config: dict[str, Any],
    command: str,
    resumed_steps: int | None = None,
) -> tuple[list[Callback], list[Callback]]:
    """Choose what watches a fit.

    Args:
        trainer: Its options.
        config: The whole config as plain values.
        command: As it was typed.
        resumed_steps: The steps behind the checkpoint with which a run goes on in its folder.

    Returns:
        Those that come before all that changes the network or writes checkpoints, and those that come after it.
    """
    audit, ending = FreezeAuditCallback(), EndingCallback()
    first: list[Callback] = [
        ending,
        *(progress_bar(trainer) or [EpochLinesCallback()]),
        *[MonitorCheckCallback(), audit, ParameterSummaryCallback()],
        *[ThroughputCallback(), StepLossCallback(), GradientNormCallback(), BusyCoresCallback()],
        EvaluationPagesCallback(),
    ]
    if trainer["logger"]:
        first += [LearningRatesCallback(), InputPicturesCallback(), ProjectorCallback()]
    if trainer["fast_dev_run"]:
        return first, []  # a trial leaves nothing behind
    first.append(RunCardCallback(command, config, audit, ending))
    last: list[Callback] = [HyperParametersCallback(config), OutcomeCallback(ending)]
    return first, [OneHistoryCallback(resumed_steps), *last]


def test_callbacks(
    trainer: Mapping[str, Any],
    config: dict[str, Any],
    command: str,
    checkpoint: Path,
) -> list[Callback]:
    """Choose what watches a test; ``checkpoint`` is what is tested, all else is as for a fit."""
    card = [] if trainer["fast_dev_run"] else [TestCardCallback(command, config, checkpoint)]
    return [*progress_bar(trainer), EvaluationPagesCallback(), *card]
