"""The values that the template of ``report.html`` shows, from a card and its evaluations."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tlearn.reporting.card import sentences as card_words
from tlearn.reporting.card.charts import reliability_diagram, scatter
from tlearn.reporting.card.curves import Curves
from tlearn.reporting.card.format import METRICS, SPLITS, count, duration, figure, moment, options, part, percent


def head_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the head of the page: name, status, results, facts, and what the run did."""
    label, value, epoch = card_words.best_words(card)
    test_label, test_value = card_words.test_words(card)
    results = [(value, f"best {label}", epoch)] if value else []
    results += [(test_value, test_label, "")] if test_value else []
    facts = [
        ("Started", moment(card.get("started"))),
        ("Took", duration(card.get("time_s"))),
        ("Device", part(card, "environment").get("device") or ""),
    ]
    status = str(card.get("status") or "").partition(":")[0]
    return {
        "title": card_words.title(card),
        "name": card.get("name") or "run",
        "version": card.get("version"),
        "status": status if status in ("finished", "interrupted", "failed", "tested") else "unknown",
        "status_words": card_words.status_words(card),
        "alert": card_words.alert(card),
        "results": results,
        "facts": [(name, value) for name, value in facts if value],
        "sentence": card_words.what_it_did(card),
    }


def network_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters, stages and options of the network."""
    stages = card.get("stages") or []
    words = {"trainable": "trains", "frozen": "frozen", "left_out": "left out"}
    numbers = [name for name in words if name != "left_out" or any(stage.get(name) for stage in stages)]
    parameters, temperature = part(card, "parameters"), card.get("temperature")
    facts = [("Parameters that train", count(parameters.get("trainable")))] if parameters else []
    facts += [("Frozen parameters", count(parameters.get("frozen")))] if parameters else []
    facts += [("Temperature", f"{temperature:.4g}")] if temperature is not None else []
    facts += card_words.pixel_facts(card)
    return {
        "facts": facts,
        "options": options(part(card, "model")),
        "columns": [words[name] for name in numbers],
        "stages": [
            {
                "name": stage.get("stage"),
                "numbers": [count(stage.get(name) or 0) for name in numbers],
                "lr_scale": stage.get("lr_scale") or "",
                "batch_norm": stage.get("batch_norm") or "",
            }
            for stage in stages
        ],
        "totals": [count(sum(stage.get(name) or 0 for stage in stages)) for name in numbers],
    }


def data_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the splits, their classes, and the options of the data."""
    data = part(card, "data")
    splits = part(data, "splits")
    known = [split for split in ("train", "val", "test") if splits.get(split)]
    names = list(card.get("class_names") or dict.fromkeys(n for s in known for n in part(splits[s], "classes")))
    counted = any(part(splits[split], "classes") for split in known)
    return {
        "module": data.get("module"),
        "fingerprint": data.get("fingerprint"),
        "ranges": card_words.range_words(card),
        "splits": [(SPLITS[split], count(splits[split].get("images"))) for split in known],
        "classes": [
            (name, [count(part(splits[split], "classes").get(name, 0)) for split in known])
            for name in names[: SHOWN_CLASSES if counted else 0]
        ],
        "more_classes": max(0, len(names) - SHOWN_CLASSES) if counted else 0,
        "options": options(part(data, "options")),
    }


def doctor_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the doctor's findings and its note."""
    doctor = part(card, "doctor")
    findings = [
        {
            "severity": finding.get("severity") or "note",
            "what": finding.get("what") or "",
            "files": (finding.get("files") or [])[:10],
            "more": max(0, len(finding.get("files") or []) - 10),
        }
        for finding in doctor.get("findings") or []
    ]
    return {"findings": findings, "words": card_words.doctor_words(card)}


def test_command(card: Mapping[str, Any]) -> str | None:
    """Return the command of the test, if it differs from that of the run."""
    command = part(card, "test").get("command")
    return command if isinstance(command, str) and command != card.get("command") else None


MATRIX_CLASSES = 30
SHOWN_CLASSES = 40
_SHADES = 8
_PICTURE = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+={0,2}")
_NAMES = {"test": "Test", "val": "Validation"}


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
    metrics = _metrics(split, card, file or {}, curves)
    if not metrics and file is None:
        return None
    about = file or {}
    names, classes = about.get("class_names") or [], about.get("per_class") or []
    matrix = about.get("confusion")
    tables = {kind: f"evaluation/{split}_{kind}.csv" for kind in ("confusion", "per_class")}
    return {
        "split": split,
        "title": _NAMES[split],
        "lede": _lede(about, matrix),
        "metrics": metrics,
        "matrix": _matrix(names, matrix) if matrix and len(names) <= MATRIX_CLASSES else None,
        "confusions": _frequent(names, matrix) if matrix and len(names) > MATRIX_CLASSES else None,
        "share": "recall" if about.get("task") == "multilabel" else "accuracy",
        "classes": [_class_row(each) for each in sorted(classes, key=_by_accuracy)[:SHOWN_CLASSES]],
        "more_classes": max(0, len(classes) - SHOWN_CLASSES),
        "worst": [_card_of(each) for each in about.get("worst") or []],
        "colours": str(about.get("colours") or ""),
        "reliability": _reliability(about),
        "scatter": _scatter(about),
        "tables": {kind: path for kind, path in tables.items() if (folder / path).is_file()},
    }


def accepted_picture(source: object) -> str | None:
    """Return a picture if it is the data URI of a JPEG or PNG, and nothing else."""
    return source if isinstance(source, str) and _PICTURE.fullmatch(source) else None


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
        "dense": len(names) > 16,
        "upright": len(names) <= 6 and max(map(len, names), default=0) <= 9,
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


def _card_of(mistake: Mapping[str, Any]) -> dict[str, Any]:
    probability, error = mistake.get("probability"), mistake.get("error")
    return {
        "picture": accepted_picture(mistake.get("picture")),
        "name": mistake.get("name") or "",
        "true": mistake.get("true"),
        "predicted": mistake.get("predicted"),
        "probability": "" if probability is None else percent(probability),
        "error": "" if error is None else f"{error:+.4g}",
    }


def _reliability(about: Mapping[str, Any]) -> Markup | None:
    found = part(about, "calibration")
    known = {name: found[name] for name in ("before", "after") if found.get(name)}
    return Markup(reliability_diagram(known)) if known else None


def _scatter(about: Mapping[str, Any]) -> Markup | None:
    points = [(float(true), float(predicted)) for true, predicted in about.get("scatter") or []]
    return Markup(scatter(points, f"Predicted over true values of {len(points)} images")) if points else None
