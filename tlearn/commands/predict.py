"""The verb ``predict``, and `tlearn.predict`: predictions of a checkpoint as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tlearn.base.files import safe_cell
from tlearn.base.notebook.html_table import html_table
from tlearn.cli.arguments import Arguments, with_own
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of_run
from tlearn.cli.transfer_cli import run as run_verb
from tlearn.deploy.prediction_writer import TOP_K, PredictionWriterCallback
from tlearn.deploy.reliability.options import CoverageBy, ReliabilityOptions
from tlearn.training.typed import callbacks_of


@dataclass(frozen=True)
class Predictions:
    """A table of predictions, a row for each image in the order of the images.

    Attributes:
        path: The table, ``.csv`` or ``.parquet``.
        columns: Column names to the type of their cells: ``path`` or ``index`` first, ``error`` last, but for
            ``remark``, which is there if a picture is unlike the training pictures.
        count: The number of rows.
        unreadable: The number of files that gave no picture; their rows name the reason in ``error``.
        remarked: The number of pictures that are unlike the training pictures; their rows say how in ``remark``.
    """

    path: Path
    columns: dict[str, type]
    count: int
    unreadable: int
    remarked: int = 0

    def _repr_html_(self) -> str:
        """Show the first rows in a notebook."""
        counts = f"{self.count} predictions, {self.unreadable} unreadable, {self.remarked} remarked: {self.path}"
        return html_table([list(row.values()) for row in self.rows], list(self.columns), counts)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as column names to cells, ``None`` for an empty cell; the table is read when first used."""
        if self.path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            rows: list[dict[str, Any]] = parquet.read_table(self.path).to_pylist()
            return rows
        with self.path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        kinds = list(self.columns.items())
        assert len(header) == len(kinds)
        return [{name: _cell(text, kind) for (name, kind), text in zip(kinds, line, strict=True)} for line in lines]


def predict(
    config: str | Path | Mapping[str, Any] | None = None,
    data: str | Path | Sequence[str | Path] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    ckpt_path: str | Path | None = None,
    out: str | Path | None = None,
    top_k: int = TOP_K,
    coverage: float | None = None,
    coverage_by: CoverageBy = "all",
    min_accuracy: float | None = None,
    unknown: bool = False,
    nearest: int = 0,
) -> Predictions:
    """Predict with a checkpoint, and write a row for each image.

    Args:
        config: A run: its folder, ``runs/my_pictures`` for the newest of them, or a checkpoint file. Or a config, of
            whose newest run the best checkpoint is taken; options that it does not name are the checkpoint's.
        data: A folder, a pattern such as ``photos/*.jpg``, a file, or several of these; by default the validation
            images of the run.
        options: Dotted option names to values; they beat the config.
        ckpt_path: Another checkpoint than the best one: ``last`` or ``wise_ft``, a run folder or a file.
        out: The table to write, ``.csv`` or ``.parquet``; by default ``predictions.csv`` in the run folder.
        top_k: How many classes a row lists, the most probable first.
        coverage: In this share of pictures the column ``set``, or the interval of a value, holds the truth.
        coverage_by: For pictures of ``all`` classes together, of each ``class``, or of a ``group`` never seen.
        min_accuracy: At least this share of the answers given is right; the rest is ``unknown``.
        unknown: Pictures like none of the training pictures are ``unknown``.
        nearest: How many training pictures to name that look most like each.

    Raises:
        TlearnError: There is no such checkpoint or picture, too little was held out for a promise, or any other fault
            that `tlearn.fit` would name.
    """
    with called_from_python():
        asked = ReliabilityOptions(coverage, coverage_by, min_accuracy, unknown, nearest)
        own = with_own(options, top_k=top_k, out=out, **asked.typed)
        arguments = arguments_of_run("predict", config, own, ckpt_path)
        places = [] if data is None else [data] if isinstance(data, (str, Path)) else data
        arguments.options.extend(f"--data={place}" for place in places)
        return run(arguments)


def run(arguments: Arguments) -> Predictions:
    """Predict as a command line says."""
    callbacks = callbacks_of(run_verb(arguments).trainer)
    writer = next(callback for callback in callbacks if isinstance(callback, PredictionWriterCallback))
    return Predictions(writer.target, writer.columns, writer.rows, writer.faults, len(writer.remarks))


def _cell(text: str, kind: type) -> Any:
    if text == "":
        return None
    if text.startswith("'") and safe_cell(text[1:]) == text:
        text = text[1:]  # `safe_cell` put it there for spreadsheets
    return kind(text)
