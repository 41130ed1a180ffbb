"""What the loggers of a run can show, and reports that may fail without ending the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import MLFlowLogger, WandbLogger

from tlearn.base.errors import one_line
from tlearn.base.process.beside import Beside
from tlearn.reporting.figures import Pixels

log = logging.getLogger(__name__)


def attempt(what: str, report: Callable[[], object]) -> None:
    """Call a report, and turn any error into one line of warning.

    Args:
        what: What is missing if it fails.
        report: Draws or writes it.
    """
    try:
        report()
    except Exception as error:
        log.warning("%s is missing: %s: %s", what, type(error).__name__, one_line(error))


def takes_pictures(trainer: Trainer) -> bool:
    """Tell whether a logger of this process can show pictures; otherwise none needs to be drawn."""
    kinds = (WandbLogger, MLFlowLogger)
    if not trainer.is_global_zero:
        return False  # loggers of other processes have every attribute, and do nothing
    return any(isinstance(logger, kinds) or hasattr(_writer(logger), "add_image") for logger in trainer.loggers)


def show(trainer: Trainer, tag: str, picture: Pixels, step: int, beside: list[Beside[None]] | None = None) -> None:
    """Log a picture (H, W, 3) under a name to each logger that can show one.

    Args:
        trainer: Has the loggers.
        tag: The name.
        picture: What to show.
        step: Where TensorBoard's slider has it.
        beside: TensorBoard's picture is encoded in a thread, which takes it a tenth of a second, and the work is added
            here. Wait for it before the run ends, because its logger then closes the file.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(tag, [picture], step)
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, picture, key=tag.replace("/", "."), step=step)
        elif hasattr(_writer(logger), "add_image"):
            add = partial(_writer(logger).add_image, tag, picture, step, dataformats="HWC")
            if beside is None:
                add()
            else:
                beside.append(Beside(partial(_encode, tag, add)))


def finish(beside: list[Beside[None]]) -> None:
    """Wait for pictures that `show` encodes."""
    while beside:
        beside.pop(0).found()


def _encode(tag: str, add: Callable[[], object], beside: Beside[None]) -> None:
    attempt(f"the picture {tag}", add)


def write(trainer: Trainer, tag: str, markdown: str, step: int = 0) -> None:
    """Log a text in Markdown under a name to each logger that can show one."""
    for logger in trainer.loggers:
        if isinstance(logger, MLFlowLogger):
            logger.experiment.log_text(logger.run_id, markdown, f"{tag}.md")
        elif hasattr(_writer(logger), "add_text"):
            _writer(logger).add_text(tag, markdown, step)


def step_of(trainer: Trainer) -> int:
    """Return the step at which Lightning logs the metrics of an epoch: the last one, counted from 0."""
    return max(0, trainer.global_step - 1)


def tensorboard_writers(trainer: Trainer) -> list[Any]:
    """Return TensorBoard's writers. Only they take precision-recall curves, the projector and histograms."""
    if not trainer.is_global_zero:
        return []
    return [_writer(logger) for logger in trainer.loggers if hasattr(_writer(logger), "add_pr_curve")]


def _writer(logger: Any) -> Any:
    return getattr(logger, "experiment", None)
