"""Write ``oof.csv``: a row for each training picture, with an answer of who had not seen it. N pictures, K outputs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tlearn.base.files import safe_cell, write_whole
from tlearn.base.types import LABEL_THRESHOLD, Task

FILE = "oof.csv"


def write_out_of_fold(
    path: Path,
    task: Task,
    class_names: Sequence[str],
    answers: Tensor,
    targets: Tensor,
    pictures: Sequence[str] | Sequence[int],
    *,
    folds: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
) -> None:
    """Write out-of-fold answers as a table for a spreadsheet.

    Columns: ``path`` or ``index``, ``fold``, ``group``. Then for classification ``label``, ``answer``, ``probability``
    of the answer, and ``p_NAME`` for each class; for several labels ``labels``, ``answers`` and ``p_NAME``; for a
    regression ``value`` and ``answer``, of several columns ``value_NAME`` and ``answer_NAME``.

    Args:
        path: The file.
        task: What the answers are.
        class_names: K names; of a regression's columns where there are several.
        answers: Probabilities (N, K), or values (N, K).
        targets: Class numbers (N,), 0, 1 and NaN for what is unknown (N, K), or values (N, K).
        pictures: Paths, or positions in the source where pictures have no names.
        folds: The fold of each picture, counted from 1; ``None`` leaves the column out.
        groups: The name of each picture's group; likewise.

    Raises:
        TlearnError: The file cannot be written.
    """
    named = all(isinstance(picture, str) for picture in pictures)
    columns: dict[str, Sequence[Any]] = {"path" if named else "index": pictures}
    columns |= {"fold": folds} if folds is not None else {}
    columns |= {"group": groups} if groups is not None else {}
    columns |= _of_answers(task, class_names, answers, targets)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(map(safe_cell, columns))
    for row in zip(*columns.values(), strict=True):
        rows.writerow(f"{cell:.6f}" if isinstance(cell, float) else safe_cell(cell) for cell in row)
    write_whole(path, text.getvalue())


def _of_answers(task: Task, names: Sequence[str], answers: Tensor, targets: Tensor) -> dict[str, Sequence[Any]]:
    if task == "regression":
        wanted = targets.view_as(answers)
        tails = [f"_{name}" for name in names] if len(names) > 1 else [""]
        found = {f"value{tail}": wanted[:, place].tolist() for place, tail in enumerate(tails)}
        return found | {f"answer{tail}": answers[:, place].tolist() for place, tail in enumerate(tails)}
    of_classes = {f"p_{name}": answers[:, place].tolist() for place, name in enumerate(names)}
    if task == "multilabel":
        return {
            "labels": _joined(targets > 0, names),
            "answers": _joined(answers >= LABEL_THRESHOLD, names),
            **of_classes,
        }
    best = answers.max(dim=1)
    return {
        "label": [names[number] for number in targets.tolist()],
        "answer": [names[number] for number in best.indices.tolist()],
        "probability": best.values.tolist(),
        **of_classes,
    }


def _joined(chosen: Tensor, names: Sequence[str]) -> list[str]:
    return [";".join(name for name, is_so in zip(names, row, strict=True) if is_so) for row in chosen.tolist()]
