"""Rows of predictions, and the files they go into, CSV or Parquet, row by row. B images, K classes."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, safe_cell
from tlearn.base.types import LABEL_THRESHOLD, Task

KINDS = (".csv", ".parquet")
REMARK = "remark"


def check_output(path: Path) -> None:
    """Check, before any work, that predictions can be written there.

    Raises:
        TlearnError: Another kind of file, no such folder, or a package is missing.
    """
    if path.suffix.lower() not in KINDS:
        raise TlearnError(f"--out {path}: expected a name that ends in {' or '.join(KINDS)}")
    check_folder_of(path)
    if not os.access(path.absolute().parent, os.W_OK):
        raise TlearnError(f"--out {path}: the folder is not writable")
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise TlearnError("writing .parquet needs: pip install 'tlearn[parquet]'")


def columns_of(task: Task, class_names: Sequence[str], top_k: int, first: str) -> dict[str, type]:
    """Name the columns of a row, with the type of each; ``error`` is last, and empty for a good picture.

    Behind it there is ``remark`` if any picture is unlike the training pictures.

    Args:
        task: Classification: ``class`` and ``probability``, then ``class_2``, ``probability_2`` and so on. Several
            labels: ``classes``, those of probability 0.5 or more, and ``p_NAME`` for each. Regression: ``value``, or
            ``value_NAME`` for each of several columns.
        class_names: K names; of a regression's columns where there are several.
        top_k: How many classes a row lists, the most probable first.
        first: ``path``, or ``index`` where images have no names.
    """
    columns: dict[str, type] = {first: str if first == "path" else int}
    if task == "regression":
        columns |= {f"value_{name}": float for name in class_names} or {"value": float}
    elif task == "multilabel":
        columns |= {"classes": str} | {f"p_{name}": float for name in class_names}
    else:
        for place in range(min(top_k, len(class_names))):
            tail = f"_{place + 1}" if place else ""
            columns |= {f"class{tail}": str, f"probability{tail}": float}
    return columns | {"error": str}


def rows_of(task: Task, class_names: Sequence[str], top_k: int, answers: Tensor) -> list[list[Any]]:
    """Turn probabilities (B, K), or values (B, K), into what stands between first and last column."""
    if task == "regression":
        rows: list[list[Any]] = answers.tolist()
        return rows
    if task == "multilabel":
        return [
            [";".join(name for name, p in zip(class_names, row, strict=True) if p >= LABEL_THRESHOLD), *row]
            for row in answers.tolist()
        ]
    best, numbers = torch.topk(answers, min(top_k, len(class_names)), dim=1)
    return [
        [cell for number, p in zip(classes, ps, strict=True) for cell in (class_names[number], p)]
        for classes, ps in zip(numbers.tolist(), best.tolist(), strict=True)
    ]


class PredictionTable(Protocol):
    """A file that takes rows."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows; ``None`` is an empty cell."""

    def close(self, remarks: Mapping[int, str]) -> None:
        """Finish the file; where rows have remarks, by their number from 0, those become a last column."""

    def abandon(self) -> None:
        """Let go of the file, whatever is in it."""


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name beside a file, whose place is taken by what is written there."""
    wider = path.with_name(f"{path.name}.wider")
    try:
        yield wider
        wider.replace(path)
    finally:
        wider.unlink(missing_ok=True)


class CsvTable:
    """UTF-8, comma, probabilities with six decimals; no text is a spreadsheet's formula (see `safe_cell`)."""

    def __init__(self, path: Path, columns: dict[str, type]) -> None:
        """Begin the file with its header."""
        self._path = path
        # A name that is no text in any encoding is written with escapes, not refused.
        self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._csv = csv.writer(self._file)
        self._csv.writerow(map(safe_cell, columns))

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""
        self._csv.writerows([f"{c:.6f}" if isinstance(c, float) else safe_cell(c) for c in row] for row in rows)

    def close(self, remarks: Mapping[int, str]) -> None:
        """Finish the file; remarks become a last column."""
        self._file.close()
        if remarks:
            self._add(remarks)

    def _add(self, remarks: Mapping[int, str]) -> None:
        text = partial(open, newline="", encoding="utf-8")
        with _replacing(self._path) as path, text(self._path) as old, text(path, "w") as new:
            rows, wider = csv.reader(old), csv.writer(new)
            wider.writerow([*next(rows), REMARK])
            wider.writerows([*row, safe_cell(remarks.get(number, ""))] for number, row in enumerate(rows))

    def abandon(self) -> None:
        """Let go of the file; a full disk has been heard of."""
        with suppress(OSError):
            self._file.close()


class ParquetTable:
    """One row group for each block of rows."""

    _ROWS = 8192

    def __init__(self, path: Path, columns: dict[str, type]) -> None:
        """Begin the file with its schema."""
        import pyarrow
        from pyarrow import parquet

        kinds = {str: pyarrow.string(), float: pyarrow.float32(), int: pyarrow.int64()}
        self._arrow, self._path = pyarrow, path
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._waiting: list[Sequence[Any]] = []

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows; they are written when there are enough."""
        self._waiting += rows
        if len(self._waiting) >= self._ROWS:
            self._flush()

    def close(self, remarks: Mapping[int, str]) -> None:
        """Finish the file; remarks become a last column."""
        self._flush()
        self._writer.close()
        if remarks:
            self._add(remarks)

    def _add(self, remarks: Mapping[int, str]) -> None:
        from pyarrow import parquet

        column, row = self._arrow.field(REMARK, self._arrow.string()), 0
        schema = self._schema.append(column)
        with (
            _replacing(self._path) as path,
            parquet.ParquetFile(self._path) as old,
            parquet.ParquetWriter(path, schema) as new,
        ):
            for batch in old.iter_batches(self._ROWS):
                texts = [remarks.get(number) for number in range(row, row + len(batch))]
                row += len(batch)
                new.write_batch(batch.append_column(column, self._arrow.array(texts, self._arrow.string())))

    def abandon(self) -> None:
        """Let go of the file; rows that wait may be what went wrong."""
        self._waiting = []
        with suppress(OSError):
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            columns = (map(_as_text, column) for column in zip(*self._waiting, strict=True))
            arrays = [self._arrow.array(list(c), f.type) for c, f in zip(columns, self._schema, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._waiting = []


def _as_text(cell: Any) -> Any:
    """Write a name that is no text in any encoding with escapes, as `CsvTable` does."""
    return cell.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(cell, str) else cell


def open_table(path: Path, columns: dict[str, type], kind: str) -> PredictionTable:
    """Begin a file of a kind, ``.csv`` or ``.parquet``, whatever the name that it has for now."""
    return ParquetTable(path, columns) if kind.lower() == ".parquet" else CsvTable(path, columns)
