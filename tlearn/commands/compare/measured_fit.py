"""Measure one fit: its cost, and the score of its best epoch on each image. Letters: N validation images, K classes."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from tlearn.analysis.ranking import Scores, sample_f1
from tlearn.base.errors import TlearnError
from tlearn.base.intervals import percent
from tlearn.base.machine import PeakMemory
from tlearn.base.types import LABEL_THRESHOLD, Task
from tlearn.cli.arguments import Arguments
from tlearn.cli.faults import translated_faults
from tlearn.commands.compare.held_out import HeldOut, held_out
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.models.state import evaluating
from tlearn.reporting.tensorboard.hparams import HyperParametersCallback, best_tag, hyper_parameters, log_settings
from tlearn.reporting.terminal.outcome import OutcomeCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint, best_checkpoint
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.feature_cache import features_of, obstacle, obstacle_to_storing
from tlearn.training.strategies.features import on_device_of_run, run_over_split
from tlearn.training.strategies.kept.maps import frozen_epochs
from tlearn.training.typed import callbacks_of, data_of, on_features, own_data_of
from tlearn.version import __version__

SCORE = {"classification": "accuracy", "multilabel": "F1", "regression": "absolute error"}

_AT_ONCE = 1024  # features that the head answers at once


def measured_fit(arguments: Arguments, place: str) -> tuple[dict[str, Any], HeldOut | None]:
    """Train, and measure what it took and what the best epoch answers.

    Args:
        arguments: The command line of the fit.
        place: The folder of the run under the root of runs, such as ``compare/a_vs_b/a-seed0``.

    Returns:
        The fields of a `RunResult` that are known after the run alone, and, of a fold, its answers.

    Raises:
        TlearnError: No epoch was validated, or whatever the fit refuses.
    """

    def put(cli: UntrainedCLI) -> None:
        """Name the run after its place."""
        cli.run_name = place

    cli = untrained(arguments, change=put)
    measuring, callbacks = _MeasuringCallback(cli.plain), callbacks_of(cli.trainer)
    # It logs costs to the hparams tab, where a fit logs settings alone.
    # The comparison says at its end how to go on.
    kept = [each for each in callbacks if not isinstance(each, OutcomeCallback)]
    callbacks[:] = [measuring if isinstance(each, HyperParametersCallback) else each for each in kept]
    with translated_faults(arguments):
        cli.train()
    if measuring.measured is None:
        raise TlearnError("no epoch was validated: nothing to compare; see max_epochs, check_val_every_n_epoch")
    _tell(cli.model.task, measuring.measured)
    return measuring.measured, measuring.held_out


def _tell(task: Task, measured: dict[str, Any]) -> None:
    score = sum(measured["scores"]) / len(measured["scores"])
    shown = f"{score:.3f}" if task == "regression" else percent(score)
    print(f"best epoch: {SCORE[task]} {shown}, {measured['seconds']:.0f} s", flush=True)


class _MeasuringCallback(Callback):
    """Put the costs of a run into the hparams tab, and ask its best epoch about each validation image.

    Args:
        config: The whole config as plain values.

    Attributes:
        measured: ``None`` until the end, and for good where no epoch was validated.
        held_out: What the best epoch answers, where a fold of the training images validates.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.measured: dict[str, Any] | None = None
        self.held_out: HeldOut | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start the clock: the data are read by now, no feature is computed yet."""
        self._peak = PeakMemory(trainer.strategy.root_device)
        self._start_s = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note whether features are kept: the next run that needs them will be quicker."""
        module = model_of(trainer)
        self._keeps_features = not obstacle_to_storing(trainer, module) and (
            on_features(trainer) or module.head_start.solves_head
        )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log, and let the best epoch answer; before, checkpoints may not be written yet."""
        module = model_of(trainer)
        seconds, peak = time.perf_counter() - self._start_s, self._peak.bytes()
        best = best_checkpoint(trainer)
        assert best is not None  # a comparison without validation was refused
        if best.best_model_score is None:
            return
        value, trainable = float(best.best_model_score), _trained(trainer, module)
        with on_device_of_run(trainer, module):
            scores = self._best_scores(trainer, module, best)
        metrics = {best_tag(str(best.monitor)): value, "seconds": seconds, "peak_memory_mb": peak / 1e6}
        metrics["trainable_parameters"] = trainable
        assert isinstance(trainer.logger, TensorBoardLogger)  # others are refused
        log_settings(trainer.logger, hyper_parameters(self.config), metrics)
        self.measured = {
            "metric": best.monitor,
            "value": value,
            "scores": scores.tolist(),
            "seconds": seconds,
            "keeps_features": self._keeps_features,
            "peak_memory_bytes": peak,
            "peak_memory_since": self._peak.since,
            "trainable_parameters": trainable,
            "checkpoint": best.best_model_path,
            "device": _name_of(trainer.strategy.root_device),
            "versions": {"tlearn": __version__, **{name: version(name) for name in ("torch", "lightning")}},
        }

    def _best_scores(self, trainer: Trainer, module: TransferModule, best: BestCheckpoint) -> Scores:
        checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(best.best_model_path)
        module.load_state_dict(checkpoint["state_dict"])
        module.calibration = best.calibration  # the module has that of the last epoch
        answers, targets = _answers(trainer, module)
        data = own_data_of(trainer)
        self.held_out = held_out(data, answers, targets) if data is not None and data.folds else None
        return reported_scores(module.task, answers, targets)


def _answers(trainer: Trainer, module: TransferModule) -> tuple[Tensor, Tensor]:
    """Answer each validation image, by its features where those of a frozen network are kept."""
    if obstacle(trainer, module) or frozen_epochs(module) < float("inf"):
        return run_over_split(trainer, module, "val", module.answer)
    (features,) = features_of(trainer, module, "val", again=True)
    images = data_of(trainer).dataset("val")
    with evaluating(module), trainer.precision_plugin.forward_context():
        parts = [module.answer(part.to(module.device)).float().cpu() for part in features.split(_AT_ONCE)]
    return torch.cat(parts), images.targets[images.indices]


def _trained(trainer: Trainer, module: TransferModule) -> int:
    """Count as the parameter summary does: without weights that meet only padding in pictures of this size."""
    last = max(trainer.current_epoch - 1, 0)  # at the end of fit Lightning has counted on
    return sum(module.get_parameter(name).numel() for name, rule in module.rules.items() if rule.trains_in(last))


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def reported_scores(task: Task, answers: Tensor, targets: Tensor) -> Scores:
    """Score every image as `SCORE` says: 1 for right and 0 for wrong, the F1 of its labels, or the absolute error.

    A race judges by `tlearn.analysis.race.paired.image_scores`, of which more is better in every task.

    Args:
        task: Which of the three.
        answers: Probabilities (N, K), or values (N, K).
        targets: Class numbers (N,), 0, 1 and NaN for what is unknown (N, K), or values (N, K).
    """
    if task == "regression":
        return (answers - targets.view_as(answers)).abs().double().mean(dim=1).numpy()
    if task == "multilabel":
        chosen = (answers >= LABEL_THRESHOLD) & ~targets.isnan()
        return sample_f1(chosen.numpy(), (targets > 0).numpy())
    return (answers.argmax(dim=1) == targets).double().numpy()
