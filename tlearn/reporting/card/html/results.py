"""The values that the templates of ``report.html`` show of the evaluations: metrics, matrices, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tlearn.reporting.card.curves import Curves
from tlearn.reporting.card.format import METRICS, count, figure, part, percent
from tlearn.reporting.card.html.charts import reliability_diagram, scatter
from tlearn.reporting.card.html.views import SHOWN_CLASSES

MATRIX_CLASSES = 30
# Classes of a matrix that fits into half a page, that fits into 400 px, and that has large cells.
_BESIDE, _ON_A_PHONE, _FEW = 20, 8, 4
_SHADES = 8
_WORDS = list(METRICS.values())
NAMES = {"test": "Test", "val": "Validation"}


def evaluation_view(
    split: str, folder: Path, card: Mapping[str, Any], file: Mapping[str, Any] | None, curves: Curves
) -> dict[str, Any] | None:
    """Return what the page shows of one split; ``None`` if nothing is known of it.

    Args:
        split: ``val`` or ``test``.
        folder: The run folder; tables in it are linked.
        card: The card of the run.
        file: The content of ``evaluation/<split>.json``, if it exists.
        curves: The curves of the run, which give the validation metrics of the evaluated epoch.
    """
    metrics = dict(_metrics(split, card, file or {}, curves))
    if not metrics and file is None:
        return None
    about = file or {}
    names, classes = about.get("class_names") or [], about.get("per_class") or []
    matrix = about.get("confusion")
    tables = {kind: f"evaluation/{split}_{kind}.csv" for kind in ("confusion", "per_class")}
    return {
        "split": split,
        "title": NAMES[split],
        "lede": _lede(about, matrix),
        "metrics": metrics,
        "matrix": _matrix(names, matrix) if matrix and len(names) <= MATRIX_CLASSES else None,
        "confusions": _frequent(names, matrix) if matrix and len(names) > MATRIX_CLASSES else None,
        "share": "recall" if about.get("task") == "multilabel" else "accuracy",
        "classes": [_class_row(each) for each in sorted(classes, key=_by_accuracy)[:SHOWN_CLASSES]],
        "more_classes": max(0, len(classes) - SHOWN_CLASSES),
        "reliability": _reliability(about),
        "scatter": _scatter(about),
        "tables": {kind: path for kind, path in tables.items() if (folder / path).is_file()},
    }


def metrics_view(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one table of the metrics of all evaluations, side by side."""
    names = dict.fromkeys(name for evaluation in evaluations for name in evaluation["metrics"])
    order = sorted(names, key=lambda name: (_WORDS.index(name) if name in _WORDS else len(_WORDS), name))
    return {
        "columns": [evaluation["title"].lower() for evaluation in evaluations],
        "rows": [(name, [evaluation["metrics"].get(name, "") for evaluation in evaluations]) for name in order],
    }


def _metrics(split: str, card: Mapping[str, Any], about: Mapping[str, Any], curves: Curves) -> list[tuple[str, str]]:
    epoch = about.get("epoch") or part(card, "best").get("epoch") or 0
    if split == "test":
        found = part(part(card, "test"), "metrics")
    else:
        found = {name: curve[epoch] for name, curve in curves.items() if name.startswith("val/") and epoch in curve}
        best = part(card, "best")
        if best.get("value") is not None and str(best.get("monitor")).startswith("val/") and epoch == best.get("epoch"):
            found.setdefault(str(best["monitor"]), best["value"])
    known = {name.partition("/")[2]: value for name, value in found.items()}
    order = sorted(known, key=lambda name: (list(METRICS).index(name) if name in METRICS else len(METRICS), name))
    return [(METRICS.get(name, name), figure(name, known[name])) for name in order]


def _lede(about: Mapping[str, Any], matrix: Sequence[Sequence[int]] | None) -> str:
    images, epoch = about.get("images"), about.get("epoch")
    if images is None:
        return ""
    right = sum(row[k] for k, row in enumerate(matrix or ()))
    text = f"{right:,} of {images:,} images right, {images - right:,} wrong" if matrix else f"{images:,} images"
    return text + (f", by the network of epoch {epoch}." if epoch else ".")


def _matrix(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> dict[str, Any]:
    rows = [
        {"name": name, "images": sum(row), "cells": [(number, _shade(number, sum(row))) for number in row]}
        for name, row in zip(names, matrix, strict=True)
    ]
    return {
        "names": names,
        "rows": rows,
        "is_narrow": len(names) <= _BESIDE,
        "large": len(names) <= _FEW,
        "dense": len(names) > 16,
        "upright": len(names) <= _FEW and max(map(len, names), default=0) <= 12,
        "instead": _frequent(names, matrix, _ON_A_PHONE) if len(names) > _ON_A_PHONE else None,
    }


def _shade(number: int, images: int) -> int:
    """Return the shade of a cell, 0 for no image; by the square root, so that rare confusions differ too."""
    return min(_SHADES - 1, 1 + math.floor((_SHADES - 1) * math.sqrt(number / images))) if number else 0


def _frequent(names: Sequence[str], matrix: Sequence[Sequence[int]], most: int = 30) -> list[tuple[str, str, str, str]]:
    wrong = [(-n, t, p) for t, row in enumerate(matrix) for p, n in enumerate(row) if n and t != p]
    return [
        (names[true], names[predicted], count(-n), percent(-n / sum(matrix[true])))
        for n, true, predicted in sorted(wrong)[:most]
    ]


def _by_accuracy(row: Mapping[str, Any]) -> float:
    accuracy = row.get("accuracy")
    return math.inf if accuracy is None or math.isnan(accuracy) else float(accuracy)


def _class_row(row: Mapping[str, Any]) -> dict[str, Any]:
    accuracy = row.get("accuracy")
    if accuracy is not None and math.isnan(accuracy):
        accuracy = None
    shown = {key: percent(row.get(key)) if row.get(key) is not None else "" for key in ("precision", "f1")}
    return {
        "name": row["name"],
        "images": count(row.get("images")),
        "accuracy": "" if accuracy is None else percent(accuracy),
        "bar": f"{100 * (accuracy or 0):.0f}%",
        **shown,
    }


def _reliability(about: Mapping[str, Any]) -> Markup | None:
    found = part(about, "calibration")
    known = {name: found[name] for name in ("before", "after") if found.get(name)}
    return Markup(reliability_diagram(known)) if known else None


def _scatter(about: Mapping[str, Any]) -> Markup | None:
    points = [(float(true), float(predicted)) for true, predicted in about.get("scatter") or []]
    return Markup(scatter(points, f"Predicted over true values of {len(points)} images")) if points else None
