"""What a cell of a table says: pure functions over values as CSV and Parquet give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

_HOLDS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def is_missing(value: Any) -> bool:
    """Tell whether a cell is empty: nothing, white space, or pandas' NaN in a column with a gap."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()


def is_number(value: Any) -> bool:
    """Tell whether a cell holds a finite number."""
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def names_in(value: Any, separator: str) -> list[str]:
    """Return the names in a cell of several, a text with separators or a list; none for an empty cell."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [str(name).strip() for name in value]
    if is_missing(value):
        return []
    return [name.strip() for name in str(value).split(separator) if name.strip()]


def holds(value: Any) -> bool | None:
    """Tell whether a cell of 0 and 1 says yes; ``None`` is for any other value."""
    return _HOLDS.get(str(value).strip().lower())


def rows_named(lines: Sequence[int], most: int = 10) -> str:
    """Name rows by the numbers that an editor shows: ``row 3``, ``6 rows (2, 7, 12, ...)``."""
    if len(lines) == 1:
        return f"row {lines[0]}"
    shown = ", ".join(map(str, lines[:most]))
    return f"{len(lines)} rows ({shown}{', ...' if len(lines) > most else ''})"
