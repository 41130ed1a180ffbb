"""``metrics.csv`` in every run folder, whatever the logger; a resumed run appends to it."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import DummyLogger

from tlearn.base.errors import TlearnError
from tlearn.base.files import known_disk_fault, whole_file


class MetricsFileLogger(CSVLogger):
    """Write ``metrics.csv`` into the run folder of another logger.

    Lightning's `CSVLogger` would delete the file of a run that is resumed, and warn about the other files.

    Args:
        beside: The first of the trainer's loggers.
        root: The folder of all runs, for a logger without a folder of its own.
    """

    def __init__(self, beside: Logger, root: str) -> None:
        super().__init__(root)
        self._beside = beside

    @property
    def log_dir(self) -> str:
        """Return the run folder of the other logger; some loggers know it only after they have started."""
        beside = self._beside
        version = beside.version if isinstance(beside.version, str) else f"version_{beside.version}"
        return str(Path(beside.save_dir or self.save_dir, str(beside.name), version))

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return the writer, made when it is first needed."""
        if self._experiment is None:
            self._experiment = _GoingOn(self.log_dir)
        return self._experiment


class _GoingOn(ExperimentWriter):
    def save(self) -> None:
        """Append the new rows, all of them or none.

        Raises:
            TlearnError: The disk refuses: it is full, read-only or over its quota.
        """
        path = Path(self.metrics_file_path)
        self._whole_bytes = path.stat().st_size if path.is_file() else 0
        try:
            super().save()
        except OSError as error:
            error.filename = error.filename or str(path)
            known = known_disk_fault(error)
            if known is None:
                raise
            if path.is_file() and path.stat().st_size > self._whole_bytes:
                os.truncate(path, self._whole_bytes)  # a row cut short
            raise TlearnError(known) from error

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=fieldnames)
            writer.writeheader()
            writer.writerows(rows)
        self._whole_bytes = path.stat().st_size

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            content = path.read_bytes()
            os.truncate(path, content.rfind(b"\n") + 1)  # a row cut short by a kill would run into the next
            self.metrics_keys = next(csv.reader(content.decode(errors="replace").splitlines()), [])


def with_metrics_file(loggers: list[Any], root: str) -> list[Any]:
    """Append a logger for ``metrics.csv`` to a trainer's loggers, of which the first knows the run folder.

    Nothing is added if there is no logger, or for `plan`'s dummy logger.
    """
    if not loggers or isinstance(loggers[0], DummyLogger):
        return loggers
    return [*loggers, MetricsFileLogger(loggers[0], root)]
