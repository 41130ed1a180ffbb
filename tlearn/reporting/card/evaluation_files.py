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
from tlearn.models.network import Network
from tlearn.reporting.card.examples import WORST, examples_of, training_examples
from tlearn.reporting.evaluation import Answers, confusion_matrix, per_class_rows, summary_of, worst_mistakes
from tlearn.reporting.pictures import colour_note


def write_evaluation(folder: Path, data: ImageDataModule, answers: Answers, network: Network) -> None:
    """Write ``SPLIT.json``, and for a test also ``test_confusion.csv`` and ``test_per_class.csv``.

    Args:
        folder: The run folder, in which ``evaluation/`` is made.
        data: Gives the pictures of mistakes and right answers.
        answers: The answers of the pass.
        network: That gave them.
    """
    split, place = answers.outputs.split, folder / "evaluation"
    place.mkdir(parents=True, exist_ok=True)
    content = summary_of(answers) | examples_of(data, answers, network)
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


def write_training_examples(folder: Path, data: ImageDataModule, answers: Answers | None) -> None:
    """Write ``train.json``: some training pictures, those of classes that were taken for one another first.

    Args:
        folder: The run folder.
        data: Whose training images are open.
        answers: Of the validation; ``None`` without one.
    """
    confused = list[int]()
    if answers is not None and answers.task == "classification":
        said = answers.given.argmax(dim=1)
        for position in worst_mistakes(answers, WORST):
            confused += [int(answers.targets[position]), int(said[position])]
    place = folder / "evaluation"
    place.mkdir(parents=True, exist_ok=True)
    examples = training_examples(data, confused, range(data.num_classes))
    content: dict[str, Any] = {"split": "train", "images": len(data.dataset("train")), "examples": examples}
    if note := colour_note(data.num_channels):
        content["colours"] = note
    write_whole(place / "train.json", json.dumps(content))


def _write_table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    write_whole(path, text.getvalue())
