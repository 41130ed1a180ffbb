"""Cells of a table: labels in one or several columns, numbers, and unknown values. N images, K classes."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import Split
from tlearn.data.files.listing import listed, number_of

log = logging.getLogger(__name__)

_HOLDS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def is_missing(value: Any) -> bool:
    """Tell whether a cell is empty: nothing, white space, or a NaN of pandas."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()


def is_number(value: Any) -> bool:
    """Tell whether a cell holds a finite number."""
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def refuse_what_is_no_number(
    columns: Mapping[str, Sequence[Any]], rows: Sequence[int], where: Callable[[int], str]
) -> None:
    """Check the values of a regression.

    Args:
        columns: Name to cells.
        rows: Those that are used.
        where: Tells the place of a row in the table.

    Raises:
        TlearnError: A cell holds no number; names the row.
    """
    for name, values in columns.items():
        for row in rows:
            if not is_number(values[row]):
                column = f"{name} is " if len(columns) > 1 else ""
                raise TlearnError(f"{where(row)}: {column}'{values[row]}' is no number; the task is regression")


def leave_out_rows(
    faults: Mapping[str, Sequence[int]], splits: list[Split | None], skips: bool, table: Path, lines: Sequence[int]
) -> dict[Split, list[str]]:
    """Leave out rows that lack something if that is wanted, and return remarks for each split.

    Args:
        faults: What they lack, to the rows.
        splits: The split of each row, which becomes ``None``.
        skips: That is wanted.
        table: The file, for messages.
        lines: The line of each row in an editor, likewise.

    Raises:
        TlearnError: There are some, and that is not wanted; names all of one kind.
    """
    told: dict[Split, list[str]] = {}
    for what, every in faults.items():
        rows = [row for row in every if splits[row] is not None]
        if rows and not skips:
            raise TlearnError(
                f"{table.absolute()}, {rows_named([lines[row] for row in rows])}: no {what}; fill it in "
                "or remove the row, or leave it out: --data.init_args.on_error skip"
            )
        for split, count in Counter(splits[row] for row in rows).items():
            if split is not None:
                told.setdefault(split, []).append(f"{number_of(count, 'row')} without a {what}")
        for row in rows:
            splits[row] = None
    return told


def names_in(value: Any, separator: str) -> list[str]:
    """Return the names in a cell, which is a list or a text with separators; none for an empty cell."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [str(name).strip() for name in value]
    if is_missing(value):
        return []
    return [name.strip() for name in str(value).split(separator) if name.strip()]


def holds(value: Any) -> bool | None:
    """Return whether a cell of 0 and 1 says yes; ``None`` for any other value."""
    return _HOLDS.get(str(value).strip().lower())


def rows_named(lines: Sequence[int], most: int = 10) -> str:
    """Name rows by their line numbers in an editor: ``row 3``, ``6 rows (2, 7, 12, ...)``."""
    if len(lines) == 1:
        return f"row {lines[0]}"
    shown = ", ".join(map(str, lines[:most]))
    return f"{len(lines)} rows ({shown}{', ...' if len(lines) > most else ''})"


EmptyLabels = Literal["unknown", "no"]
UncertainLabels = Literal["error", "unknown", "no", "yes"]
_UNCERTAIN = ("-1", "-1.0")  # CheXpert's "uncertain"
_SEPARATORS = ";,|"
_MOST = 12  # classes in a line


@dataclass(frozen=True)
class LabelCells:
    """The content of columns of 0 and 1.

    Attributes:
        holds: For each row the columns that say yes.
        unknown: For each row the columns whose value is unknown.
        remarks: For each column how many cells are neither 0 nor 1, and how they are counted.
    """

    holds: list[list[str]]
    unknown: list[list[str]]
    remarks: list[str]


def read_label_columns(
    columns: Mapping[str, Sequence[Any]], where: Callable[[int], str], empty: EmptyLabels, uncertain: UncertainLabels
) -> LabelCells:
    """Read a column of 0 and 1 for each class.

    Args:
        columns: Name to cells, as CSV or Parquet gives them.
        where: Names a row, for messages.
        empty: The meaning of an empty cell.
        uncertain: The meaning of -1.

    Raises:
        TlearnError: A cell holds something else, or -1 while ``uncertain`` is ``error``.
    """
    count = len(next(iter(columns.values())))
    cells, gaps = LabelCells([[] for _ in range(count)], [[] for _ in range(count)], []), 0
    for name, values in columns.items():
        odd = Counter[str]()
        for row, value in enumerate(values):
            kind = _kind_of(value)
            says = {"empty": empty, "-1": uncertain}.get(kind) or _said(value)
            if says == "error":
                raise TlearnError(f"{where(row)}: {name} is '{value}', expected 0 or 1{_way_out(kind)}")
            odd.update([kind] if kind else [])
            if says != "no":
                (cells.holds if says == "yes" else cells.unknown)[row].append(name)
        remarks = (_remark(odd[kind], count, kind, each) for kind, each in (("empty", empty), ("-1", uncertain)))
        cells.remarks.extend(f"{name}: {remark}" for remark in remarks if remark)
        gaps += odd["empty"]
    if gaps and empty == "unknown":
        cells.remarks.append("data.init_args.empty_labels no counts empty cells as no")
    return cells


def _kind_of(value: Any) -> str:
    if is_missing(value):
        return "empty"
    return "-1" if str(value).strip() in _UNCERTAIN else ""


def _said(value: Any) -> str:
    said = holds(value)
    return "error" if said is None else "yes" if said else "no"


def _way_out(kind: str) -> str:
    return "; for -1 (uncertain) set data.init_args.uncertain_labels to unknown, no or yes" if kind else ""


def _remark(found: int, count: int, kind: str, says: str) -> str:
    if not found:
        return ""
    return f"{found} of {count} cells are {kind}: {'unknown, left out' if says == 'unknown' else f'counted as {says}'}"


def seeming_separators(names: Iterable[str], separator: str) -> str:
    """Say which class names seem to be several with another separator; empty for none."""
    others = [mark for mark in _SEPARATORS if mark != separator]
    odd = [name for name in names if any(mark in name for mark in others)]
    if not odd:
        return ""
    mark = next(mark for mark in others if mark in odd[0])
    return (
        f"{listed(odd, most=3)}: one class each, for the separator is '{separator}'; if they are several, set "
        f"data.init_args.label_separator to '{mark}'"
    )
