"""Read the ``metrics.csv`` of Lightning's `CSVLogger` into curves over epochs."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

Curves = dict[str, dict[int, float]]


def read_curves(path: Path) -> Curves:
    """Return column name to epoch, counted from 1, to value; empty without a file.

    The file counts epochs from 0. Most cells are empty. Learning-rate rows have no epoch column; they precede the other
    rows of the same epoch. The last value of an epoch counts, for a learning rate the first. A resumed run may add a
    header, and a killed run may leave half a line. Values that are not finite are left out.
    """
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    header: list[str] = []
    waiting: list[dict[str, float]] = []
    curves: Curves = {}
    for cells in csv.reader(io.StringIO(whole)):
        if "step" in cells:
            header = cells
            continue
        row = {name: value for name, cell in zip(header, cells, strict=False) if (value := _number(cell)) is not None}
        waiting.append(row)
        if "epoch" in row:
            _record(curves, waiting, int(row["epoch"]) + 1)
            waiting = []
    return curves


def learning_rates(curves: Curves) -> Curves:
    """Return the curves of learning rates by the name of their group, the highest first; empty if none changes."""
    rates = {name.removeprefix("lr-"): curve for name, curve in curves.items() if name.startswith("lr-")}
    rates = {name: curve for name, curve in rates.items() if not name.endswith(("-momentum", "-weight_decay"))}
    if all(len(set(curve.values())) < 2 for curve in rates.values()):
        return {}
    optimizers = {name.partition("/")[0] for name in rates}
    start = f"{optimizers.pop()}/" if len(optimizers) == 1 else ""
    by_height = sorted(rates.items(), key=lambda item: -max(item[1].values()))
    return {name.removeprefix(start): curve for name, curve in by_height}


def _record(curves: Curves, rows: list[dict[str, float]], epoch: int) -> None:
    for row in rows:
        for name, value in row.items():
            curve = curves.setdefault(name, {})
            if not (name.startswith("lr-") and epoch in curve):
                curve[epoch] = value


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
