"""Pictures and their labels in a table, CSV or Parquet: one class an image, several, or a number."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tlearn.data.datamodule import Split
from tlearn.data.image_files import FileList, ImageFilesDataModule
from tlearn.data.listing import counted
from tlearn.data.split import class_numbers
from tlearn.errors import TlearnError, unknown
from tlearn.types import Task

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
Columns = dict[str, list[Any]]


class ImageTableDataModule(ImageFilesDataModule):
    """A table with a picture in each row."""

    def __init__(
        self,
        table: str,
        root: str | None = None,
        task: Task = "classification",
        path_column: str = "path",
        label_column: str | list[str] = "label",
        label_separator: str = ";",
        split_column: str | None = None,
        classes: list[str] | None = None,
        unknown_classes: Literal["error", "ignore"] = "error",
        stored_classes: list[str] | None = None,
        **options: Any,
    ) -> None:
        """Read the table; no picture is read.

        Args:
            table: ``.csv`` (UTF-8, a header, comma, semicolon or tab) or ``.parquet``.
            root: Folder that relative paths in it start from; the table's own by default.
            task: ``classification``: a class in each row. ``multilabel``: any number of classes, in one column with
                separators, or in a column of 0 and 1 for each class. ``regression``: a number in each row.
            path_column: Column of the pictures' paths.
            label_column: Column of the labels; a list of columns, named like the classes, for ``multilabel``.
            label_separator: What stands between several labels in one column.
            split_column: Column that says ``train``, ``val`` or ``test``; by default ``split`` if there is one. Without
                any, all rows train, and validation is split off.
            classes: Names of the classes to use, numbered in the order given; by default those of the training rows, in
                the order of their code points.
            unknown_classes: What to do about a class in other rows that no training row has: stop, or leave those rows
                out and say how many.
            stored_classes: The classes where no row trains; the command line takes them from the checkpoint.
            **options: Those of `ImageFilesDataModule`, `StreamedDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: The table cannot be read, lacks a column, or a label is not what the task expects; the row is
                named.
        """
        self.table, self.unknown_classes = Path(table), unknown_classes
        self._columns = _read(self.table)
        self._paths = [str(path) for path in self._column(path_column)]
        self._splits = self._split_of(split_column)
        self._separator = label_separator
        self._label_columns = [label_column] if isinstance(label_column, str) else list(label_column)
        if len(self._label_columns) > 1 and task != "multilabel":
            raise TlearnError(f"label_column lists {len(self._label_columns)} columns, which is for task: multilabel")
        self._labels = [self._column(name) for name in self._label_columns]
        names = [] if task == "regression" else self._class_names(task, classes, stored_classes)
        place = self.table.parent if root is None else Path(root)
        super().__init__(root=place, class_names=names, task=task, **options)
        self._refuse_bad_rows()

    def list_split(self, split: Split) -> FileList | None:
        """List the rows of a split.

        Raises:
            TlearnError: A class is not trained on.
        """
        rows = [row for row, each in enumerate(self._splits) if each == split]
        if not rows:
            return None
        strangers = Counter(name for row in rows for name in self._names_in(row) if name not in self.class_names)
        if self.task != "regression" and strangers:
            rows = self._without_strangers(split, rows, strangers)
        targets = torch.stack([self._target(row) for row in rows]) if rows else torch.empty(0)
        left_out = f"ignored classes not trained on: {counted(strangers)}" if strangers else ""
        return FileList([self._paths[row] for row in rows], targets, left_out)

    def _without_strangers(self, split: Split, rows: list[int], strangers: Counter[str]) -> list[int]:
        chosen_away = split == "train"  # `classes` names some of those there are
        if self.unknown_classes == "error" and not chosen_away and any(name not in self._seen for name in strangers):
            raise TlearnError(
                f"{self.table.absolute()}: {split} rows have a class that is not trained on: {counted(strangers)}; the "
                f"classes are {', '.join(self.class_names)}: mend the table, or data.init_args.unknown_classes ignore"
            )
        if self.task == "multilabel":
            return rows  # the picture has other labels, or none
        return [row for row in rows if self._names_in(row)[0] in self.class_names]

    def _target(self, row: int) -> Tensor:
        if self.task == "regression":
            return torch.tensor([float(self._labels[0][row])])
        numbers = [self.class_names.index(name) for name in self._names_in(row) if name in self.class_names]
        if self.task == "classification":
            return torch.tensor(numbers[0])
        return torch.zeros(len(self.class_names)).index_fill(0, torch.tensor(numbers, dtype=torch.int64), 1.0)

    def _names_in(self, row: int) -> list[str]:
        if len(self._label_columns) > 1:
            return [
                name for name, column in zip(self._label_columns, self._labels, strict=True) if float(column[row]) == 1
            ]
        value = str(self._labels[0][row]).strip()
        if self.task != "multilabel":
            return [value]
        return [name.strip() for name in value.split(self._separator) if name.strip()]

    def _class_names(self, task: Task, classes: list[str] | None, stored: Sequence[str] | None) -> list[str]:
        self.task = task
        if len(self._label_columns) > 1:
            self._seen = self._label_columns
        else:
            trained = [row for row, split in enumerate(self._splits) if split == "train"]
            self._seen = sorted({name for row in trained for name in self._names_in(row)})
            if not trained and stored is not None:
                self._seen = list(stored)
        if len(self._seen) < (2 if task == "classification" else 1):
            raise TlearnError(
                f"{self.table.absolute()}: found {len(self._seen)} class ({', '.join(self._seen)}) in the column "
                f"{self._label_columns[0]} of the training rows; need at least 2"
            )
        return [self._seen[number] for number in class_numbers(classes, self._seen)] if classes else list(self._seen)

    def _column(self, name: str) -> list[Any]:
        if name not in self._columns:
            raise unknown(f"column of {self.table.absolute()}", name, self._columns)
        return self._columns[name]

    def _split_of(self, column: str | None) -> list[Split]:
        name = column or ("split" if "split" in self._columns else None)
        if name is None:
            return ["train"] * len(self._paths)
        splits = list[Split]()
        for row, value in enumerate(self._column(name)):
            if str(value).strip().lower() not in _SPLITS:
                raise TlearnError(f"{self._where(row)}: {name} is '{value}', expected train, val or test")
            splits.append(_SPLITS[str(value).strip().lower()])
        return splits

    def _refuse_bad_rows(self) -> None:
        for row in range(len(self._paths)):
            if not self._paths[row].strip() or self._paths[row] == "None":
                raise TlearnError(f"{self._where(row)}: no path; fill it in or remove the row")
            if self.task == "regression" and not _is_number(self._labels[0][row]):
                raise TlearnError(f"{self._where(row)}: '{self._labels[0][row]}' is no number; the task is regression")
            if self.task == "classification" and self._names_in(row) in ([""], ["None"]):
                raise TlearnError(f"{self._where(row)}: no label; fill it in or remove the row")

    def _where(self, row: int) -> str:
        return f"{self.table.absolute()}, row {row + 2}"  # counted as a spreadsheet does, after the header


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _read(table: Path) -> Columns:
    """Read a table as columns.

    Raises:
        TlearnError: It is missing, damaged, empty, of another kind, or a row has more or fewer fields than the header.
    """
    if not table.is_file():
        raise TlearnError(f"data.init_args.table: no file at {table.absolute()}")
    if table.suffix.lower() == ".parquet":
        columns = _read_parquet(table)
    elif table.suffix.lower() in (".csv", ".tsv", ".txt"):
        columns = _read_csv(table)
    else:
        raise TlearnError(f"{table.absolute()}: expected a table named .csv or .parquet")
    if not columns or not next(iter(columns.values())):
        raise TlearnError(f"{table.absolute()} has no rows")
    return columns


def _read_parquet(table: Path) -> Columns:
    if find_spec("pyarrow") is None:
        raise TlearnError("reading .parquet needs: pip install 'tlearn[parquet]'")
    from pyarrow import ArrowException, parquet

    try:
        columns: Columns = parquet.read_table(table).to_pydict()
    except (ArrowException, OSError) as error:
        raise TlearnError(f"{table.absolute()} is not readable as Parquet ({error}); write it again") from error
    return columns


def _read_csv(table: Path) -> Columns:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # Excel begins UTF-8 files with a mark
            header = file.readline()
            dialect = max(",;\t", key=header.count)
            file.seek(0)
            rows = list(csv.reader(file, delimiter=dialect, strict=True))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise TlearnError(f"{table.absolute()} is not readable as CSV in UTF-8 ({error}); save it so") from error
    names, *rows = [row for row in rows if row] or [[]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise TlearnError(f"{table.absolute()}, row {number}: {len(row)} fields, the header has {len(names)}")
    return {name.strip(): [row[place] for row in rows] for place, name in enumerate(names)}
