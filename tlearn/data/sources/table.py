"""Pictures and their labels in a table, CSV or Parquet: one class an image, several, or numbers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.data.class_names import ClassRemark, Spelling, alike_hint, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.boxes import read_boxes
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import counted
from tlearn.data.groups.rule import checked_group, is_expression, rule_of
from tlearn.data.images.held_back import left_to_train
from tlearn.data.images.split import class_numbers
from tlearn.data.labels.counting import listed_labels
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.table_cells import (
    EmptyLabels,
    UncertainLabels,
    is_missing,
    leave_out_rows,
    names_in,
    read_label_columns,
    refuse_what_is_no_number,
    seeming_separators,
)
from tlearn.data.sources.table_file import column_of, column_of_groups, read_table, splits_of
from tlearn.data.sources.table_paths import found_paths, warn_of_outside

log = logging.getLogger(__name__)


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
        empty_labels: EmptyLabels = "unknown",
        uncertain_labels: UncertainLabels = "error",
        split_column: str | None = None,
        crop_column: str | list[str] | None = None,
        classes: list[str] | None = None,
        unknown_classes: Literal["error", "ignore"] = "error",
        stored_classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        **options: Any,
    ) -> None:
        """Read the table; no picture is read.

        Args:
            table: ``.csv`` (UTF-8, a header, comma, semicolon or tab) or ``.parquet``.
            root: Folder that relative paths in it start from; the table's own by default.
            task: ``classification``: a class in each row. ``multilabel``: any number of classes, in one column with
                separators, or in a column of 0 and 1 for each class. ``regression``: a number in each row, or one in
                each of several columns.
            path_column: Column of the pictures' paths.
            label_column: Column of the labels; a list of columns, named like the classes, for ``multilabel``, or of
                the columns of numbers for ``regression``.
            label_separator: What stands between several labels in one column.
            empty_labels: Meaning of an empty cell in a column of 0 and 1; ``unknown`` counts in no loss or metric.
            uncertain_labels: Meaning of -1 there (CheXpert's "uncertain").
            split_column: Column of ``train``, ``val`` or ``test``; by default ``split``, if there is one. Without such
                a column all rows train, and validation is split off.
            crop_column: Column of a box, ``x,y,w,h`` in pixels of the upright picture, or four columns: each row is the
                object inside its box. ``crop_mode: letterbox`` shows all of it.
            classes: Names of the classes to use, numbered in the order given; by default those of the training rows, in
                the order of their code points.
            unknown_classes: What to do about a class in other rows that no training row has: stop, or leave those rows
                out and log how many.
            stored_classes: The classes if no row trains; the command line takes them from the checkpoint.
            min_per_class: Leave out classes with fewer training rows, and log which; none by default.
            **options: Those of `ImageFilesDataModule`, `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: The table cannot be read, lacks a column, or a label does not fit the task; names the row.
        """
        self.table, self.unknown_classes, self.task = Path(table).expanduser(), unknown_classes, task
        self._seen: list[str] = []
        self._columns, self._lines = read_table(self.table, path_column)
        self._paths = column_of(self._columns, path_column, self.table, "path_column")
        self._splits: list[Split | None] = [*splits_of(self._columns, split_column, self.table, self._lines)]
        self._group = checked_group(options.get("group"))
        self._groups = column_of_groups(self._columns, self._group, self.table)
        if not isinstance(label_column, str) and task == "classification":
            raise TlearnError(
                f"label_column lists {len(label_column)} columns, which is for task: multilabel or regression"
            )
        labels = [label_column] if isinstance(label_column, str) else list(label_column)
        self._labels = {name: column_of(self._columns, name, self.table, "label_column") for name in labels}
        boxes = [crop_column] if isinstance(crop_column, str) else crop_column or []
        self._boxes = [column_of(self._columns, name, self.table, "crop_column") for name in boxes]
        place = self.table.parent if root is None else Path(root).expanduser()
        self._apply_list(place)
        self._left_out = self._leave_out_bad_rows(options.get("on_error") == "skip")
        self._names, self._unknown = self._read_names(label_column, label_separator, empty_labels, uncertain_labels)
        self._spell(stored_classes or [])
        seen = self._spelled(labels) if not isinstance(label_column, str) else self._trained_names(stored_classes)
        columns = labels if len(labels) > 1 else []  # one column of numbers needs no name
        names = columns if task == "regression" else self._class_names(seen, classes)
        used = [str(path) for path, split in zip(self._paths, self._splits, strict=True) if split]
        warn_of_outside(self.table, place, used)
        names, rare = self._frequent(names, place, min_per_class, options)
        super().__init__(root=place, class_names=names, task=task, **options)
        self.source = self.table
        self.class_remarks = [*self._spelling.remarks(self.class_names), *rare]

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
        names, changed = found_paths(self.root, [str(self._paths[row]) for row in rows])
        hint = alike_hint([name for name in strangers if name not in self._seen], self._seen)
        left_out = f"ignored classes not trained on: {counted(strangers)}{hint}" if strangers else ""
        remarks = [changed, left_out, *(f"left out {what}" for what in self._left_out.get(split, []))]
        boxes = read_boxes(self._boxes, rows, self._where) if self._boxes else None
        groups = self._groups_of_rows(split, rows, names)
        return FileList(names, targets, "; ".join(filter(None, remarks)), boxes=boxes, groups=groups)

    def _groups_of_rows(self, split: Split, rows: list[int], names: list[str]) -> list[str | None] | None:
        """Return the group of each row. A table without the column can still be tested and predicted on."""
        group = self._group
        if self._groups is not None or group is None:
            return self._groups and [self._groups[row] for row in rows]
        is_column = isinstance(group, str) and not is_expression(group)
        return None if is_column and split != "train" else rule_of(group, list(self._columns)).of_paths(names)

    def _without_strangers(self, split: Split, rows: list[int], strangers: Counter[str]) -> list[int]:
        chosen_away = split == "train"  # `classes` names some of those there are
        if self.unknown_classes == "error" and not chosen_away and any(name not in self._seen for name in strangers):
            raise TlearnError(
                f"{self.table.absolute()}: {split} rows have a class that is not trained on: {counted(strangers)}; the "
                f"classes are {', '.join(self.class_names)}: mend the table, or data.init_args.unknown_classes ignore"
                f"{alike_hint(strangers, self.class_names)}"
            )
        if self.task == "multilabel":
            return rows  # the picture has other labels, or none
        return [row for row in rows if self._names[row][0] not in strangers]

    def _target(self, row: int, places: dict[str, int]) -> Tensor:
        if self.task == "regression":
            return torch.tensor([float(values[row]) for values in self._labels.values()])
        numbers = [places[name] for name in self._names[row] if name in places]
        if self.task == "classification":
            return torch.tensor(numbers[0])
        unknown = [places[name] for name in self._unknown[row] if name in places]
        target = torch.zeros(len(places)).index_fill(0, torch.tensor(numbers, dtype=torch.int64), 1.0)
        return target.index_fill(0, torch.tensor(unknown, dtype=torch.int64), torch.nan)

    def _read_names(
        self, label_column: str | list[str], separator: str, empty: EmptyLabels, uncertain: UncertainLabels
    ) -> tuple[list[list[str]], list[list[str]]]:
        """Return for each row the classes that it has, and those that are unknown."""
        rows, values = range(len(self._paths)), next(iter(self._labels.values()))
        nothing: list[list[str]] = [[]] * len(rows)
        if self.task == "regression":
            return nothing, nothing
        if self.task == "classification":
            return [[str(value).strip()] for value in values], nothing
        if isinstance(label_column, str):
            names = [names_in(value, separator) for value in values]
            self._remark(seeming_separators(dict.fromkeys(name for row in names for name in row), separator))
            return names, nothing
        cells = read_label_columns(self._labels, self._where, empty, uncertain)
        self._remark("; ".join(cells.remarks))
        return cells.holds, cells.unknown

    def _remark(self, text: str) -> None:
        if text:
            log.info("%s: %s", self.table.absolute(), text)

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

    def _frequent(
        self, names: list[str], root: Path, min_per_class: int | None, options: Mapping[str, Any]
    ) -> tuple[list[str], list[ClassRemark]]:
        rows = [row for row, split in enumerate(self._splits) if split == "train"]
        if min_per_class is None or not rows:
            return names, []
        if self.task == "regression":
            raise TlearnError("data.init_args.min_per_class: a regression has no classes; drop it")
        files, _ = found_paths(root, [str(self._paths[row]) for row in rows])
        groups = self._groups_of_rows("train", rows, files)
        kept = left_to_train(root, files, groups, options.get("test_fraction", 0.0))
        counts = Counter(name for number in kept for name in self._names[rows[number]])
        return frequent_classes(names, counts, min_per_class, 2 if self.task == "classification" else 1)

    def _spell(self, stored: Sequence[str]) -> None:
        """Replace each class by its first spelling: in the checkpoint, in training rows, in others."""
        self._spelling = Spelling([], stored)
        order = sorted(
            (row for row, split in enumerate(self._splits) if split), key=lambda row: self._splits[row] != "train"
        )
        self._spelling.add(name for row in order for name in self._names[row])
        self._names = [[self._spelling.of(name) for name in names] for names in self._names]
        self._unknown = [[self._spelling.of(name) for name in names] for names in self._unknown]

    def _spelled(self, columns: Sequence[str]) -> list[str]:
        """Return the classes of columns of 0 and 1 as the checkpoint spells them."""
        self._spelling.add(columns)
        names = [self._spelling.of(name) for name in columns]
        if len(set(names)) < len(names):
            raise TlearnError(f"{self.table.absolute()}: two of {', '.join(columns)} are one class; rename a column")
        return names

    def _leave_out_bad_rows(self, skips: bool) -> dict[Split, list[str]]:
        """Leave out rows without a path or a label if that is wanted, and return remarks for each split.

        Raises:
            TlearnError: There are some, and that is not wanted; names all of one kind.
        """
        labels = [] if self.task == "multilabel" else list(self._labels.values())  # an empty label is unknown, or none
        faults = {
            "path": [row for row, path in enumerate(self._paths) if is_missing(path)],
            "label": [row for row in range(len(self._paths)) if any(is_missing(values[row]) for values in labels)],
            "group": [row for row, name in enumerate(self._groups or ()) if not name and self._splits[row] == "train"],
        }
        told = leave_out_rows(faults, self._splits, skips, self.table, self._lines)
        if self.task == "regression":
            used = [row for row, split in enumerate(self._splits) if split is not None]
            refuse_what_is_no_number(self._labels, used, self._where)
        return told

    def _apply_list(self, root: Path) -> None:
        """Let the list of labels beside the pictures say what rows are labelled, and which are left out."""
        self._listed = listed_labels(root)
        if not self._listed:
            return
        if self.task != "classification" or self._boxes:
            self._listed.refuse("several objects in a picture" if self._boxes else f"task {self.task}")
        ((column, values),) = self._labels.items()
        paths, _ = found_paths(root, ["" if is_missing(path) else str(path) for path in self._paths])
        given, new = ["" if is_missing(value) else str(value).strip() for value in values], list(values)
        for row, label in enumerate(self._listed.labels_of([str(split) for split in self._splits], paths, given)):
            if label is None:
                self._splits[row] = None
            elif label != given[row]:
                new[row] = label
        self._labels = {column: new}

    def _where(self, row: int) -> str:
        return f"{self.table.absolute()}, row {self._lines[row]}"
