"""The figures of an evaluation, for TensorBoard and other loggers that take pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.process.beside import Beside
from tlearn.reporting.evaluation import Answers, answers_from
from tlearn.reporting.figures import (
    SHOWN_CLASSES,
    Pixels,
    confusion_figure,
    per_class_figure,
    reliability_figure,
    scatter_figure,
)
from tlearn.reporting.loggers import attempt, finish, show, step_of, takes_pictures, tensorboard_writers
from tlearn.reporting.pictures import grad_cam_figure, worst_figure
from tlearn.training.evaluation import Outputs
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import data_of

# Between the first validation and the last, figures take at most this share of the time.
_TIME_SHARE = 0.01
_OF_IMAGES = ("worst_mistakes", "grad_cam")


class EvaluationPagesCallback(Callback):
    """Draw confusion matrix, per-class accuracy, worst mistakes, reliability, precision-recall curves and Grad-CAM.

    Validation figures are drawn at the first and the last validation, and between them if there is time, the confusion
    matrix first: with epochs of a second, drawing would take longer than training. Worst mistakes and Grad-CAM show
    images and take most of the space, 1.2 MB for photographs. Between, only validations 2, 4, 8, ... may draw them.
    """

    def __init__(self) -> None:
        self._found: Answers | None = None
        self._drawn: dict[str, Outputs] = {}
        self._took_s: dict[str, float] = {}
        self._validations, self._first_s, self._spent_s = 0, 0.0, 0.0
        self._encoded: list[Beside[None]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw everything at the first validation, later what there is time for."""
        if trainer.sanity_checking or trainer.state.fn != "fit" or not takes_pictures(trainer):
            return
        self._validations += 1
        if self._validations == 1:
            self._draw(trainer, model_of(trainer), lambda _: True)
            self._first_s, self._spent_s = time.perf_counter(), 0.0
        else:
            self._saves_up = False  # once a figure has no time, later and cheaper ones must not take it
            self._draw(trainer, model_of(trainer), self._is_time_for)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figures of the last epoch that are still missing."""
        last = model_of(trainer).evaluation.last
        if last is not None and takes_pictures(trainer):
            self._draw(trainer, model_of(trainer), lambda name: self._drawn.get(name) is not last)
        finish(self._encoded)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw everything."""
        if takes_pictures(trainer):
            self._draw(trainer, model_of(trainer), lambda _: True)
        finish(self._encoded)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Wait for the pictures before loggers close their files."""
        finish(self._encoded)

    def _answers(self, module: TransferModule) -> Answers | None:
        last = module.evaluation.last
        if last is not None and (self._found is None or self._found.outputs is not last):
            self._found = answers_from(module.task, module.class_names, last, module.calibration)
        return self._found

    def _is_time_for(self, name: str) -> bool:
        if name in _OF_IMAGES and self._validations.bit_count() != 1:
            return False
        affordable_s = _TIME_SHARE * (time.perf_counter() - self._first_s)
        self._saves_up |= self._spent_s + self._took_s.get(name, 0.0) > affordable_s
        return not self._saves_up

    def _draw(self, trainer: Trainer, module: TransferModule, is_wanted: Callable[[str], bool]) -> None:
        answers = self._answers(module)
        if answers is None:
            return
        encoded = self._encoded if self._validations == 1 else None  # later the clock must see all of what figures take
        for name, page in _pages(trainer, module, answers, encoded):
            if is_wanted(name):
                start_s = time.perf_counter()
                attempt(f"the page {answers.outputs.split}/{name}", page)
                self._took_s[name] = time.perf_counter() - start_s
                self._spent_s += self._took_s[name]
                self._drawn[name] = answers.outputs


def _pages(
    trainer: Trainer, module: TransferModule, answers: Answers, encoded: list[Beside[None]] | None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the names of figures and the functions that draw them, the most important first."""
    data = data_of(trainer)
    figures: dict[str, Callable[[], Pixels]] = {}
    if answers.task == "classification":
        figures["confusion_matrix"] = lambda: confusion_figure(answers)
    if answers.task == "regression":
        figures["scatter"] = lambda: scatter_figure(answers)
    else:
        yield "pr", lambda: _pr_curves(trainer, answers)
        figures["per_class"] = lambda: per_class_figure(answers)
        figures["reliability"] = lambda: reliability_figure(answers)
    is_shown = data.shows(answers.outputs.split)
    if is_shown:
        figures["worst_mistakes"] = lambda: worst_figure(data, answers)
    if is_shown and answers.outputs.split == "val":
        figures["grad_cam"] = lambda: grad_cam_figure(data, answers, module)
    for name, draw in figures.items():
        yield name, partial(_show, trainer, f"{answers.outputs.split}/{name}", draw, encoded)


def _show(trainer: Trainer, tag: str, draw: Callable[[], Pixels], encoded: list[Beside[None]] | None) -> None:
    show(trainer, tag, draw(), step_of(trainer), encoded)


def _pr_curves(trainer: Trainer, answers: Answers) -> None:
    writers = tensorboard_writers(trainer) if answers.given.isfinite().all() else []
    for number, name in enumerate(answers.class_names[:SHOWN_CLASSES] if writers else ()):
        holds, given = answers.targets == number, answers.given[:, number]
        if answers.task == "multilabel":
            known = ~answers.targets[:, number].isnan()
            holds, given = answers.targets[known, number], given[known]
        for writer in writers if len(given) else ():
            writer.add_pr_curve(f"{answers.outputs.split}/pr/{name}", holds, given, step_of(trainer))
