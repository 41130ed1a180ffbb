"""Pictures and their labels in a table, CSV or Parquet: one class an image, several, or a number."""

from __future__ import annotations

import csv
import logging
import os
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tlearn.data.datamodule import Split
from tlearn.data.image_files import FileList, ImageFilesDataModule
from tlearn.data.listing import counted, number_of
from tlearn.data.split import class_numbers
from tlearn.data.table_labels import holds, is_missing, is_number, names_in
from tlearn.errors import TlearnError, unknown
from tlearn.types import Task

log = logging.getLogger(__name__)

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
        self.table, self.unknown_classes, self.task = Path(table).expanduser(), unknown_classes, task
        self._columns, self._lines = _read(self.table, path_column)
        self._paths = self._column(path_column)
        self._splits = self._split_of(split_column)
        if not isinstance(label_column, str) and task != "multilabel":
            raise TlearnError(f"label_column lists {len(label_column)} columns, which is for task: multilabel")
        labels = [label_column] if isinstance(label_column, str) else list(label_column)
        self._labels = {name: self._column(name) for name in labels}
        self._refuse_bad_rows()
        read = self._names_by_column if not isinstance(label_column, str) else self._names_by_cell
        self._names = [[] if task == "regression" else read(row, label_separator) for row in range(len(self._paths))]
        seen = labels if not isinstance(label_column, str) else self._trained_names(stored_classes)
        names = [] if task == "regression" else self._class_names(seen, classes)
        place = self.table.parent if root is None else Path(root).expanduser()
        self._say_what_lies_outside(place)
        super().__init__(root=place, class_names=names, task=task, **options)

    def list_split(self, split: Split) -> FileList | None:
        """List the rows of a split.

        Raises:
            TlearnError: A class is not trained on.
        """
        rows = [row for row, each in enumerate(self._splits) if each == split]
        if not rows:
            return None
        places = {name: number for number, name in enumerate(self.class_names)}
        strangers = Counter(name for row in rows for name in self._names[row] if name not in places)
        if strangers:
            rows = self._without_strangers(split, rows, strangers)
        targets = torch.stack([self._target(row, places) for row in rows]) if rows else torch.empty(0)
        left_out = f"ignored classes not trained on: {counted(strangers)}" if strangers else ""
        return FileList([str(self._paths[row]) for row in rows], targets, left_out)

    def _without_strangers(self, split: Split, rows: list[int], strangers: Counter[str]) -> list[int]:
        chosen_away = split == "train"  # `classes` names some of those there are
        if self.unknown_classes == "error" and not chosen_away and any(name not in self._seen for name in strangers):
            raise TlearnError(
                f"{self.table.absolute()}: {split} rows have a class that is not trained on: {counted(strangers)}; the "
                f"classes are {', '.join(self.class_names)}: mend the table, or data.init_args.unknown_classes ignore"
            )
        if self.task == "multilabel":
            return rows  # the picture has other labels, or none
        return [row for row in rows if self._names[row][0] not in strangers]

    def _target(self, row: int, places: dict[str, int]) -> Tensor:
        if self.task == "regression":
            (values,) = self._labels.values()
            return torch.tensor([float(values[row])])
        numbers = [places[name] for name in self._names[row] if name in places]
        if self.task == "classification":
            return torch.tensor(numbers[0])
        return torch.zeros(len(places)).index_fill(0, torch.tensor(numbers, dtype=torch.int64), 1.0)

    def _names_by_cell(self, row: int, separator: str) -> list[str]:
        (values,) = self._labels.values()
        return names_in(values[row], separator) if self.task == "multilabel" else [str(values[row]).strip()]

    def _names_by_column(self, row: int, separator: str) -> list[str]:
        found = {name: holds(values[row]) for name, values in self._labels.items()}
        for name, value in found.items():
            if value is None:
                raise TlearnError(f"{self._where(row)}: {name} is '{self._labels[name][row]}', expected 0 or 1")
        return [name for name, value in found.items() if value]

    def _trained_names(self, stored: Sequence[str] | None) -> list[str]:
        trained = [row for row, split in enumerate(self._splits) if split == "train"]
        return list(stored or []) if not trained else sorted({name for row in trained for name in self._names[row]})

    def _class_names(self, seen: list[str], classes: list[str] | None) -> list[str]:
        self._seen, least = seen, 2 if self.task == "classification" else 1
        if len(seen) < least:
            raise TlearnError(
                f"{self.table.absolute()}: found {len(seen)} class ({', '.join(seen)}) in the column "
                f"{', '.join(self._labels)} of the training rows; need at least {least}"
            )
        return [seen[number] for number in class_numbers(classes, seen, least)]

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
        for row, path in enumerate(self._paths):
            if is_missing(path):
                raise TlearnError(f"{self._where(row)}: no path; fill it in or remove the row")
            label = next(iter(self._labels.values()))[row]
            if self.task == "regression" and not is_number(label):
                raise TlearnError(f"{self._where(row)}: '{label}' is no number; the task is regression")
            if self.task == "classification" and is_missing(label):
                raise TlearnError(f"{self._where(row)}: no label; fill it in or remove the row")

    def _say_what_lies_outside(self, root: Path) -> None:
        """Say which rows lead out of the root: right for one's own table, and to know of a stranger's.

        Neither ``..`` nor a whole path is refused: good tables have both, as ``labels/a.csv`` with ``../images/1.jpg``.
        """
        within = Path(os.path.abspath(root))  # noqa: PTH100  # Path has nothing that takes `..` for what it says
        outside = [path for path in map(str, self._paths) if not _lies_in(within, path)]
        if outside:
            log.warning(
                "%s: %s outside of %s, the first %s; reports show pictures",
                *(self.table.absolute(), number_of(len(outside), "picture"), within, outside[0]),
            )

    def _where(self, row: int) -> str:
        return f"{self.table.absolute()}, row {self._lines[row]}"


def _lies_in(folder: Path, path: str) -> bool:
    if not path.startswith("/") and ".." not in path and not Path(path).is_absolute():
        return True  # nearly all, a million of them in no time
    return Path(os.path.normpath(folder / path)).is_relative_to(folder)


def _read(table: Path, path_column: str) -> tuple[Columns, Sequence[int]]:
    """Read a table as columns, and the number that an editor shows for each row.

    Raises:
        TlearnError: It is missing, damaged, empty, of another kind, or a row has more or fewer fields than the header.
    """
    if not table.is_file():
        raise TlearnError(f"data.init_args.table: no file at {table.absolute()}")
    if table.suffix.lower() == ".parquet":
        columns = _read_parquet(table)
        lines: Sequence[int] = range(1, 1 + len(next(iter(columns.values()), [])))
    elif table.suffix.lower() in (".csv", ".tsv", ".txt"):
        columns, lines = _read_csv(table, path_column)
    else:
        raise TlearnError(f"{table.absolute()}: expected a table named .csv or .parquet")
    if not lines:
        raise TlearnError(f"{table.absolute()} has no rows")
    return columns, lines


def _read_parquet(table: Path) -> Columns:
    if find_spec("pyarrow") is None:
        raise TlearnError("reading .parquet needs: pip install 'tlearn[parquet]'")
    from pyarrow import ArrowException, parquet

    try:
        columns: Columns = parquet.read_table(table).to_pydict()
    except (ArrowException, OSError) as error:
        raise TlearnError(f"{table.absolute()} is not readable as Parquet ({error}); write it again") from error
    return columns


def _read_csv(table: Path, path_column: str) -> tuple[Columns, list[int]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # Excel begins UTF-8 files with a mark
            delimiter = _delimiter_of(file.readline(), path_column)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise TlearnError(f"{table.absolute()} is not readable as CSV in UTF-8 ({error}); save it so") from error
    names = [name.strip() for name in rows[0][1]] if rows else []
    if len(set(names)) < len(names):
        raise TlearnError(f"{table.absolute()}: two columns of one name in {', '.join(names)}; rename one")
    for line, row in rows[1:]:
        if len(row) != len(names):
            raise TlearnError(f"{table.absolute()}, row {line}: {len(row)} fields, the header has {len(names)}")
    columns: Columns = {name: [row[place] for _, row in rows[1:]] for place, name in enumerate(names)}
    return columns, [line for line, _ in rows[1:]]


def _delimiter_of(header: str, path_column: str) -> str:
    """Choose the delimiter by which the header has the column of paths, else the most frequent one."""
    for delimiter in ",;\t":
        if path_column in [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]:
            return delimiter
    return max(",;\t", key=header.count)
