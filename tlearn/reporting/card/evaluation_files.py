"""Write ``evaluation/`` in the run folder: JSON for the report, and tables for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tlearn.base.files import safe_cell, write_whole
from tlearn.data.datamodule import ImageDataModule
from tlearn.reporting.evaluation import Answers, confusion_matrix, per_class_rows, summary_of
from tlearn.reporting.pictures import colour_note, worst_rows


def write_evaluation(folder: Path, data: ImageDataModule, answers: Answers) -> None:
    """Write ``SPLIT.json``, and for a test also ``test_confusion.csv`` and ``test_per_class.csv``.

    Args:
        folder: The run folder, in which ``evaluation/`` is made.
        data: Gives the pictures of the worst mistakes.
        answers: The answers of the pass.
    """
    split, place = answers.outputs.split, folder / "evaluation"
    place.mkdir(parents=True, exist_ok=True)
    content = summary_of(answers) | {"worst": worst_rows(data, answers)}
    if note := colour_note(data.num_channels):
        content["colours"] = note
    write_whole(place / f"{split}.json", json.dumps(content))
    if split != "test" or answers.task == "regression":
        return
    rows = [list(row.values()) for row in per_class_rows(answers)]
    _write_table(place / "test_per_class.csv", [["class", "images", "accuracy", "precision", "f1"], *rows])
    if answers.task == "classification":
        names = list(answers.class_names)
        counts = zip(names, confusion_matrix(answers).tolist(), strict=True)
        _write_table(
            place / "test_confusion.csv", [["true \\ predicted", *names], *([name, *row] for name, row in counts)]
        )


def _write_table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    write_whole(path, text.getvalue())
