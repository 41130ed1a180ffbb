"""Lines of a CSV file that are dataclasses of texts and numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

_Row = TypeVar("_Row")
_KINDS = {"str": str, "int": int, "float": float}


def append(row: Any, path: Path) -> None:
    """Add a line to a CSV file of dataclasses of one kind."""
    line = asdict(row)
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(line), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(line)


def write_rows(kind: type[Any], rows: Iterable[Any], path: Path) -> None:
    """Write a CSV file anew.

    Args:
        kind: The dataclass of all lines; it names the columns.
        rows: The lines.
        path: The file.
    """
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(kind: type[_Row], path: Path) -> list[_Row]:
    """Read the lines of a CSV file, of which each is one dataclass.

    Args:
        kind: The dataclass; its fields are texts, whole numbers and floats.
        path: The file, with a column for each field.
    """
    parsers = {field.name: _KINDS[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]
    with path.open(newline="") as file:
        return [kind(**{name: parsers[name](text) for name, text in line.items()}) for line in csv.DictReader(file)]
