"""Read a table, CSV or Parquet, as columns of cells, without what Excel, pandas and Windows add to it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import dropwhile
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.name_forms import same_name
from tlearn.data.datamodule import Split
from tlearn.data.groups.rule import group_text
from tlearn.data.sources.table_cells import is_missing, rows_named

Columns = dict[str, list[Any]]


def read_table(table: Path, path_column: str) -> tuple[Columns, Sequence[int]]:
    """Return the columns of a table, and for each row the line number in an editor; empty rows are left out.

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
    columns, lines = _without_empty_rows(columns, lines)
    if not lines:
        raise TlearnError(f"{table.absolute()} has no rows")
    return columns, lines


def column_of(columns: Columns, name: str, table: Path, option: str) -> list[Any]:
    """Return a column by its name, in any form of Unicode; bytes are decoded.

    Args:
        columns: Those of the table.
        name: The name that is wanted.
        table: The file, for messages.
        option: What names the column, likewise.

    Raises:
        TlearnError: There is none, there are two, or its bytes are no UTF-8.
    """
    found = [name] if name in columns else [each for each in columns if same_name(each, name)]
    if len(found) != 1:
        fault = unknown(f"column of {table.absolute()}", name, columns)
        raise TlearnError(f"{fault}; say which it is: --data.init_args.{option} COLUMN")
    values = columns[found[0]]
    try:  # older Parquet writers do not mark which bytes are text
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError as error:
        raise TlearnError(f"{table.absolute()}: the column {name} holds bytes that are no text in UTF-8") from error


_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def splits_of(columns: Columns, column: str | None, table: Path, lines: Sequence[int]) -> list[Split]:
    """Return the split of each row; all train in a table without such a column.

    Args:
        columns: Those of the table.
        column: The column that is wanted; by default ``split``, if there is one.
        table: The file, for messages.
        lines: The line of each row in an editor, likewise.

    Raises:
        TlearnError: There is no such column, or a cell holds something else.
    """
    name = column or ("split" if "split" in columns else None)
    if name is None:
        return ["train"] * len(lines)
    values = [str(value).strip() for value in column_of(columns, name, table, "split_column")]
    wrong = [row for row, value in enumerate(values) if value.lower() not in _SPLITS]
    if wrong:
        rows, first = rows_named([lines[row] for row in wrong]), values[wrong[0]]
        raise TlearnError(f"{table.absolute()}, {rows}: {name} is '{first}', expected train, val or test")
    return [_SPLITS[value.lower()] for value in values]


def column_of_groups(columns: Columns, group: Any, table: Path) -> list[str | None] | None:
    """Return the group of each row, ``None`` for an empty cell; ``None`` if the option names no column."""
    if not isinstance(group, str) or not any(same_name(each, group) for each in columns):
        return None
    return [group_text(value) for value in column_of(columns, group, table, "group")]


def _read_parquet(table: Path) -> Columns:
    if find_spec("pyarrow") is None:
        raise TlearnError("reading .parquet needs: pip install 'tlearn[parquet]'")
    from pyarrow import ArrowException, parquet

    try:
        columns: Columns = parquet.read_table(table).to_pydict()
    except (ArrowException, OSError) as error:
        raise TlearnError(
            f"{table.absolute()} is not readable as Parquet ({one_line(error, 120)}); write it again"
        ) from error
    return columns


def _read_csv(table: Path, path_column: str) -> tuple[Columns, list[int]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # Excel begins UTF-8 files with a byte order mark
            delimiter, skipped = _beginning(file.readline(), path_column)
            if not skipped:
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            rows = [(reader.line_num + skipped, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise TlearnError(f"{table.absolute()} is not readable as CSV in UTF-8 ({error}); save it so") from error
    names = [name.strip() for name in rows[0][1]] if rows else []
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        raise TlearnError(f"{table.absolute()}: two columns of one name in {', '.join(named)}; rename one")
    body = [(line, _fitted(row, len(names))) for line, row in rows[1:]]
    for line, row in body:
        if len(row) != len(names):
            raise TlearnError(f"{table.absolute()}, row {line}: {len(row)} fields, the header has {len(names)}")
    # A column without a name is pandas' index, or comes from a separator at the end of the line.
    columns: Columns = {name: [row[place] for _, row in body] for place, name in enumerate(names) if name}
    return columns, [line for line, _ in body]


def _beginning(first: str, path_column: str) -> tuple[str, int]:
    """Return the delimiter and the number of lines before the header: Excel may write ``sep=;`` there."""
    said = first.strip().strip('"').lower()
    if said.startswith("sep=") and len(said.removeprefix("sep=")) <= 1:
        return said.removeprefix("sep=") or "\t", 1  # a tab is stripped
    return _delimiter_of(first, path_column), 0


def _delimiter_of(header: str, path_column: str) -> str:
    """Return the delimiter with which the header has the column of paths, or else the most frequent one."""
    for delimiter in ",;\t":
        if path_column in [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]:
            return delimiter
    return max(",;\t", key=header.count)


def _fitted(row: list[str], count: int) -> list[str]:
    """Cut empty cells after the header's last column."""
    if len(row) <= count:
        return row
    behind = list(dropwhile(lambda cell: not cell.strip(), reversed(row[count:])))
    return [*row[:count], *reversed(behind)]


def _without_empty_rows(columns: Columns, lines: Sequence[int]) -> tuple[Columns, Sequence[int]]:
    kept = [row for row in range(len(lines)) if not all(is_missing(values[row]) for values in columns.values())]
    if len(kept) == len(lines):
        return columns, lines
    return {name: [values[row] for row in kept] for name, values in columns.items()}, [lines[row] for row in kept]
