"""The pictures of an evaluation, in TensorBoard or wherever the logger can take them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.models import TransferModule
from tlearn.reporting.boards import show, step_of, takes_pictures, tensorboard_writers
from tlearn.reporting.evaluation import Answers, answers_from, reliability
from tlearn.reporting.evaluation_pictures import grad_cam_figure, worst_figure
from tlearn.reporting.figures import (
    SHOWN_CLASSES,
    Pixels,
    confusion_figure,
    per_class_figure,
    reliability_figure,
    scatter_figure,
)
from tlearn.strategies import EvaluationOutputsCallback

# Between the first validation and the last, pictures are drawn where all of them so far took no more of the run.
_TIME_SHARE = 0.02
_KINDS = ("numbers", "images")


class EvaluationPagesCallback(Callback):
    """Draw confusion matrix, per-class accuracy, worst mistakes, reliability, precision-recall curves and Grad-CAM.

    Those of validation are drawn at the first epoch and the last, and at those between for which there is time: with
    epochs of a second, drawing would take longer than training. Those that show images, worst mistakes and Grad-CAM,
    take most of the space, 1.2 MB with photographs: of epochs between, the second, fourth, eighth and so on have them.
    The expected calibration error (ECE) before and after temperature scaling is a number, and is logged every time.

    Args:
        outputs: Gathers the answers; it stands before this callback in the trainer's list, and so does what fits the
            temperature.
    """

    def __init__(self, outputs: EvaluationOutputsCallback) -> None:
        self.outputs = outputs
        self._drawn: dict[str, int] = {}
        self._validations, self._spent_s = 0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start_s = time.perf_counter()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log ``val/ece`` and ``val/ece_scaled``."""
        if not trainer.sanity_checking:
            self._log_calibration(pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log ``test/ece`` and ``test/ece_scaled``."""
        self._log_calibration(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, if it is the first time, or if there is time."""
        if trainer.sanity_checking or trainer.state.fn != "fit" or not takes_pictures(trainer):
            return
        self._validations += 1
        if not self._drawn or self._spent_s <= _TIME_SHARE * (time.perf_counter() - self._start_s):
            is_power_of_two = self._validations.bit_count() == 1
            self._draw(trainer, pl_module, _KINDS if is_power_of_two else _KINDS[:1])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw what was not drawn of the last epoch."""
        last = self.outputs.last
        if last is not None and takes_pictures(trainer):
            self._draw(trainer, pl_module, [kind for kind in _KINDS if self._drawn.get(kind) != last.epoch])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        if takes_pictures(trainer):
            self._draw(trainer, pl_module, _KINDS)

    def _log_calibration(self, module: LightningModule) -> None:
        if (answers := self._answers(module)) is None or answers.task == "regression":
            return
        for name, temperature in (("ece", 1.0), ("ece_scaled", answers.temperature)):
            module.log(f"{answers.outputs.split}/{name}", reliability(answers, temperature).ece)

    def _answers(self, module: LightningModule) -> Answers | None:
        assert isinstance(module, TransferModule)
        last = self.outputs.last
        return None if last is None else answers_from(module.task, module.class_names, last, module.temperature)

    def _draw(self, trainer: Trainer, module: LightningModule, kinds: Sequence[str]) -> None:
        start_s = time.perf_counter()
        answers = self._answers(module)
        if answers is None:
            return
        split, step = answers.outputs.split, step_of(trainer)
        for kind in kinds:
            figures = _of_numbers(answers) if kind == "numbers" else _of_images(trainer, module, answers)
            for name, draw in figures:
                show(trainer, f"{split}/{name}", draw(), step)
            self._drawn[kind] = answers.outputs.epoch
        if "numbers" in kinds and answers.task != "regression":
            _pr_curves(trainer, answers, step)
        self._spent_s += time.perf_counter() - start_s


def _of_numbers(answers: Answers) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    if answers.task == "regression":
        yield "scatter", lambda: scatter_figure(answers)
    else:
        yield "per_class", lambda: per_class_figure(answers)
        yield "reliability", lambda: reliability_figure(answers)
    if answers.task == "classification":
        yield "confusion_matrix", lambda: confusion_figure(answers)


def _of_images(
    trainer: Trainer, module: LightningModule, answers: Answers
) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    assert isinstance(module, TransferModule)
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit and test
    yield "worst_mistakes", lambda: worst_figure(data, answers)
    if answers.outputs.split == "val":
        yield "grad_cam", lambda: grad_cam_figure(data, answers, module)


def _pr_curves(trainer: Trainer, answers: Answers, step: int) -> None:
    writers = tensorboard_writers(trainer) if answers.given.isfinite().all() else []
    for number, name in enumerate(answers.class_names[:SHOWN_CLASSES] if writers else ()):
        holds = answers.targets[:, number] if answers.task == "multilabel" else answers.targets == number
        for writer in writers:
            writer.add_pr_curve(f"{answers.outputs.split}/pr/{name}", holds, answers.given[:, number], step)
