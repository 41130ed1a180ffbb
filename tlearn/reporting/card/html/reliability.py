"""The values that the templates of ``report.html`` show of how far answers can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tlearn.reporting.card.format import percent
from tlearn.reporting.card.html.charts import risk_chart
from tlearn.reporting.card.html.pictures import accepted_picture

_SOURCES = {
    "out of fold": "training pictures, each answered by a head that had not seen it{group}",
    "validation": "validation pictures",
}


def reliability_view(file: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return tables, chart and pictures; ``None`` where nothing was held out.

    Args:
        file: The content of ``evaluation/reliability.json``, if it exists.
    """
    if not file or file.get("source") not in _SOURCES:
        return None
    points = [(float(share), 1 - float(risk)) for share, risk in file.get("risk_coverage") or []]
    groups, values = file.get("groups"), file.get("task") == "regression"
    return {
        "words": _words(file, groups),
        "promise": _promise(file.get("task"), groups),
        "sets": [_set_row(row, values) for row in file.get("sets") or []],
        "is_regression": values,
        "has_labels": file.get("task") == "multilabel",
        "abstain": [_abstain_row(row) for row in file.get("abstain") or []],
        "chart": Markup(risk_chart(points)) if len(points) > 1 else None,
        "strangers": [_item(row) for row in file.get("strangers") or []],
    }


def _words(file: Mapping[str, Any], groups: int | None) -> str:
    group = "" if groups is None else ", nor any picture of its group"
    of = f" of {groups:,} groups" if groups is not None else ""
    return f"Measured on {file['held_out']:,} {_SOURCES[file['source']].format(group=group)}{of}."


def _promise(task: str | None, groups: int | None) -> str:
    what = {"regression": "An interval holds the true value", "multilabel": "A label's set holds the truth"}
    said = what.get(task or "", "A set holds the true class")
    new = "pictures like these" if groups is None else "pictures of a new group like these"
    return f"{said} in the promised share of {new}; of pictures unlike them nothing is promised."


def _set_row(row: Mapping[str, Any], values: bool) -> dict[str, str]:
    if row.get("lack"):
        return {"coverage": percent(row["coverage"]), "lack": str(row["lack"])}
    if values:
        widths = [
            "none" if math.isinf(float(width)) else f"\N{PLUS-MINUS SIGN} {width:.4g}" for width in row["half_widths"]
        ]
        return {"coverage": percent(row["coverage"]), "size": ", ".join(widths), "single": "", "lack": ""}
    size, single = f"{row['mean_size']:.2f}", percent(row["single"])
    return {"coverage": percent(row["coverage"]), "size": size, "single": single, "lack": ""}


def _width(half: float) -> str:
    return "none" if math.isinf(half) else f"\N{PLUS-MINUS SIGN} {half:.4g}"


def _abstain_row(row: Mapping[str, Any]) -> dict[str, str]:
    asked = percent(row["min_accuracy"])
    if row.get("confidence") is not None:
        return {
            "asked": asked,
            "answered": percent(row["answered"]),
            "confidence": percent(row["confidence"]),
            "lack": "",
        }
    needed = row.get("needed")
    more = f"; about {needed:,} held-out {row.get('unit')} would be needed" if needed else ""
    return {"asked": asked, "answered": "", "confidence": "", "lack": f"not to be promised{more}"}


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    name, true = row.get("name") or "", row.get("true")
    about = f"{name or 'picture'} (label {true})"
    picture = accepted_picture(row.get("picture"))
    return {
        "picture": picture,
        "grad_cam": None,
        "name": name,
        "about": about,
        "true": true,
        "predicted": None,
        "probability": "",
        "error": "",
    }
