"""``metrics.csv`` beside every run, whatever its logger: Lightning's own, which here goes on where it was."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import DummyLogger


class MetricsFileLogger(CSVLogger):
    """Write ``metrics.csv`` into the folder where another logger's run lies.

    Lightning's deletes the file when a run goes on in its folder, and warns of what lies there.

    Args:
        beside: The first of the trainer's loggers.
        root: The folder of runs, for a logger that has none of its own.
    """

    def __init__(self, beside: Logger, root: str) -> None:
        super().__init__(root)
        self._beside = beside

    @property
    def log_dir(self) -> str:
        """Return the folder that Lightning gives the other logger's checkpoints; some know it once they have begun."""
        beside = self._beside
        version = beside.version if isinstance(beside.version, str) else f"version_{beside.version}"
        return str(Path(beside.save_dir or self.save_dir, str(beside.name), version))

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return what writes, made when it is first needed."""
        if self._experiment is None:
            self._experiment = _GoingOn(self.log_dir)
        return self._experiment


class _GoingOn(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = next(csv.reader(file), [])


def with_metrics_file(loggers: list[Any], root: str) -> list[Any]:
    """Add the file to a trainer's loggers, unless one of them writes it, or there are none, or ``plan`` stands in."""
    if not loggers or any(isinstance(logger, (CSVLogger, DummyLogger)) for logger in loggers):
        return loggers
    return [*loggers, MetricsFileLogger(loggers[0], root)]
