"""Remove the points that a resumed run writes again, so that each tag and step has one value."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from tlearn.base.files import whole_file
from tlearn.training.callbacks.run_folder import RunRecordCallback

# Every run writes these at step 0, at its start or its end. Older versions wrote `final/` and `best/`.
_WRITTEN_ANEW = ("run/", "val_best/", "final/", "best/", "_hparams_/")


class OneHistoryCallback(Callback):
    """Remove from ``metrics.csv`` and TensorBoard's files what a resumed run writes again.

    These are the points from the checkpoint's step on, which a killed run logged after its last checkpoint, and those
    that every run writes at its start and its end. Readers disagree about two values for one tag and step.

    Args:
        steps: The steps of the checkpoint from which a run is resumed in its folder; ``None`` for a new run.
    """

    after: ClassVar = (RunRecordCallback,)  # which keeps other processes out of the run folder

    def __init__(self, steps: int | None) -> None:
        self.steps = steps

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Rewrite the files, each completely or not at all."""
        if self.steps is None or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                cut_metrics(Path(logger.log_dir, ExperimentWriter.NAME_METRICS_FILE), self.steps)
            elif isinstance(logger, TensorBoardLogger):
                for path in sorted(Path(logger.log_dir).rglob("events.out.tfevents.*")):
                    cut_events(path, self.steps)


def cut_metrics(path: Path, steps: int) -> None:
    """Remove the rows of a ``metrics.csv`` from a step on, counted from 0."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if float(row.get("step") or 0) < steps]
    if len(kept) == len(rows):
        return
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)


def cut_events(path: Path, steps: int) -> None:
    """Remove the events of a TensorBoard file from a step on, counted from 0, and those that every run writes.

    A file without such events stays as it is; so does the file that is being written.
    """
    from tensorboard.summary.writer.record_writer import RecordWriter

    if all(kept == event for event, kept in _events(path, steps)):
        return
    with whole_file(path) as partial, partial.open("wb") as file:
        writer = RecordWriter(file)
        for _, kept in _events(path, steps):
            if kept is not None:
                writer.write(kept)


def _events(path: Path, steps: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield each event, and what is kept of it. An event that a kill cut short ends the file."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    for content in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(content)
        values = list(event.summary.value)
        kept = [value for value in values if event.step < steps and not value.tag.startswith(_WRITTEN_ANEW)]
        if len(kept) == len(values):
            yield content, content
            continue
        del event.summary.value[:]
        event.summary.value.extend(kept)
        yield content, event.SerializeToString() if kept else None
