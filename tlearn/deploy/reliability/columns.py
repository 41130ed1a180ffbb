"""The columns of a table of predictions that say what each answer is worth. B pictures, K outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlearn.base.types import LABEL_THRESHOLD, Task
from tlearn.deploy.reliability.assessor import Assessment, Assessor

_WHY: dict[str, type] = {"why_unknown": str}
_COLUMNS_OF_UNKNOWN: dict[Task, dict[str, type]] = {
    "classification": {**_WHY, "surest_class": str},
    "multilabel": {**_WHY, "unknown_classes": str},
    "regression": _WHY,
}


def columns_beside(assessor: Assessor) -> dict[str, type]:
    """Name the columns that stand behind the answers, with the type of each.

    ``set``, or ``value_low`` and ``value_high`` (``value_NAME_low`` and so on of several columns), with a coverage;
    ``stranger`` where the run has kept what it takes; ``nearest_1``, ``nearest_1_label``, ``nearest_1_distance`` and so
    on; and where an answer may be ``unknown``, ``why_unknown`` and what the answer would have been: ``surest_class``,
    or ``unknown_classes`` where an image may have several.
    """
    options, columns = assessor.options, dict[str, type]()
    if assessor.rules.sets is not None:
        columns["set"] = str
    if assessor.rules.intervals is not None:
        for name in [f"value_{name}" for name in assessor.class_names] or ["value"]:
            columns |= {f"{name}_low": float, f"{name}_high": float}
    if assessor.knows_strangers:
        columns["stranger"] = float
    for place in range(1, options.nearest + 1):
        columns |= {f"nearest_{place}": str, f"nearest_{place}_label": str, f"nearest_{place}_distance": float}
    return columns | (_COLUMNS_OF_UNKNOWN[assessor.task] if options.abstains else {})


def with_assessments(
    assessor: Assessor, rows: Sequence[Sequence[Any]], assessments: Sequence[Assessment]
) -> list[list[Any]]:
    """Put what answers are worth behind them; the class of an answer that is not given becomes ``unknown``.

    Args:
        assessor: Made the assessments.
        rows: What stands between the first and the last column, from `rows_of`.
        assessments: Of the same B pictures.
    """
    return [
        [*_answered(assessor, row, each), *_cells(assessor, row, each)]
        for row, each in zip(rows, assessments, strict=True)
    ]


def _answered(assessor: Assessor, row: Sequence[Any], each: Assessment) -> list[Any]:
    """Return an answer as far as it is given."""
    if assessor.task == "regression":
        return [None] * len(row) if each.why_unknown else list(row)
    if each.why_unknown:
        return [assessor.unknown, *row[1:]]
    if not each.unknown_labels:
        return list(row)
    held = zip(assessor.class_names, row[1:], strict=True)
    return [";".join(name for name, p in held if p >= LABEL_THRESHOLD and name not in each.unknown_labels), *row[1:]]


def _cells(assessor: Assessor, row: Sequence[Any], each: Assessment) -> list[Any]:
    cells: list[Any] = []
    if each.answer_set is not None:
        cells.append(";".join(each.answer_set))
    for ends in zip(each.low, each.high, strict=True):
        cells += [None] * 2 if each.why_unknown else ends
    if assessor.knows_strangers:
        cells.append(each.stranger)
    for neighbour in each.nearest:
        cells += neighbour
    cells += [None] * (3 * (assessor.options.nearest - len(each.nearest)))
    if assessor.options.abstains:
        cells.append(";".join(each.why_unknown))
        if assessor.task == "multilabel":
            cells.append(";".join(each.unknown_labels))
        elif assessor.task == "classification":
            cells.append(row[0])
    return cells
