"""The values that the templates of ``report.html`` show of pictures: mistakes, right answers, training pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tlearn.reporting.card.format import percent
from tlearn.reporting.card.html.results import NAMES

_PICTURE = re.compile(r"data:image/(?:jpeg|png);base64,[A-Za-z0-9+/]+={0,2}")
_FIRST = 12  # the others are folded away
_REGRESSION = "regression"
_OF_ANSWERS = {"worst": "mistakes", "right": "right answers"}
_OF_VALUES = {"worst": "the largest errors", "right": "the smallest errors"}


def pictures_view(files: Mapping[str, Mapping[str, Any]], training: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the galleries.

    Args:
        files: Split to the content of ``evaluation/<split>.json``, the test first.
        training: The content of ``evaluation/train.json``, if it exists.
    """
    values = any(file.get("task") == _REGRESSION for file in files.values())
    sides = {
        kind: [_side(split, file, kind, values) for split, file in files.items() if kind in file]
        for kind in ("worst", "right")
    }
    examples = [_item(each) for each in (training or {}).get("examples") or []]
    reasons = {f"No Grad-CAM: {file['explained']}." for file in files.values() if file.get("explained")}
    colours = {str(file["colours"]) for file in [*files.values(), training or {}] if file.get("colours")}
    has_maps = any(row.get("grad_cam") for file in files.values() for kind in sides for row in file.get(kind) or [])
    images = (training or {}).get("images")
    return {
        "wrong": _in_proportion(sides["worst"]),
        "right": _in_proportion([side for side in sides["right"] if side["first"]]),
        "training": examples,
        "training_words": f"{len(examples)} of {images:,}" if examples and images else "",
        "words": _words(has_maps),
        "colours": "; ".join(sorted(colours)),
        "reasons": sorted(reasons),
    }


def accepted_picture(source: object) -> str | None:
    """Return a picture if it is the data URI of a JPEG or PNG, and nothing else."""
    return source if isinstance(source, str) and _PICTURE.fullmatch(source) else None


def _words(has_maps: bool) -> str:
    cut = "Each picture is cut as the network gets it; pictures open large."
    return (
        f"{cut} Beside some: what in them spoke for the answer (Grad-CAM), the brighter the more." if has_maps else cut
    )


def _side(split: str, file: Mapping[str, Any], kind: str, values: bool) -> dict[str, Any]:
    rows = [_item(each) for each in file.get(kind) or []]
    names = _OF_VALUES if values else _OF_ANSWERS
    return {
        "title": f"{NAMES[split]}: {names[kind]}",
        "count": _count_words(file, kind, len(rows)),
        "note": "" if rows else "No mistake.",
        "first": rows[:_FIRST],
        "more": rows[_FIRST:],
        "size": sum(2 if row["grad_cam"] else 1 for row in rows[:_FIRST]),
    }


def _count_words(file: Mapping[str, Any], kind: str, shown: int) -> str:
    """Say which of how many are shown; only a confusion matrix tells how many there are."""
    matrix, images = file.get("confusion"), file.get("images")
    if not matrix or images is None:
        return ""
    right = sum(row[k] for k, row in enumerate(matrix))
    there = right if kind == "right" else images - right
    order = "a sure one of each class in turn" if kind == "right" else "the surest first"
    return f"{shown} of {there:,}, {order}" if shown else ""


def _in_proportion(sides: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Share the width of a row by how many pictures each side has."""
    most = max((side["size"] for side in sides), default=1) or 1
    shares = [max(0.5, side["size"] / most) if side["first"] else 0.0 for side in sides]
    return [side | {"share": f"{share:.2f}"} for side, share in zip(sides, shares, strict=True)]


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    probability, error = row.get("probability"), row.get("error")
    return {
        "picture": accepted_picture(row.get("picture")),
        "grad_cam": accepted_picture(row.get("grad_cam")),
        "name": row.get("name") or "",
        "about": _about(row),
        "true": row.get("true"),
        "predicted": row.get("predicted"),
        "probability": "" if probability is None else percent(probability),
        "error": "" if error is None else f"{error:+.4g}",
    }


def _about(row: Mapping[str, Any]) -> str:
    """Describe a picture for those who hear it, and below it where it is enlarged."""
    said = "" if row.get("predicted") is None else f", said {row['predicted']}"
    probability = row.get("probability")
    sure = "" if probability is None else f", {percent(probability)}"
    return f"{row.get('name') or 'picture'} ({'label' if not said else 'true'} {row.get('true')}{said}{sure})"
