"""The format of numbers, names and options, the same in ``card.md`` and ``report.html``."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tlearn.base.intervals import percent as plain_percent

METRICS = {
    "loss": "loss",
    "acc": "accuracy",
    "acc_macro": "accuracy, mean of the classes",
    "acc_top5": "accuracy, top 5",
    "f1": "F1, mean of the classes",
    "map": "mean average precision",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "ece": "calibration error (ECE)",
    "ece_scaled": "ECE after calibration",
    "temperature": "temperature",
    "uniform_share": "uniform share",
}
SPLITS = {"train": "training", "val": "validation", "test": "test"}
MAIN_METRIC = {"classification": "acc", "multilabel": "f1", "regression": "mae"}
_SHARES = {"acc", "acc_macro", "acc_top5", "f1", "map", "ece", "ece_scaled"}
NOT_KNOWN = "not known"
_LONGEST_VALUE = 300
UNSET = ("\N{EN DASH}", "[]", "{}")  # values of options that are not set


def visible(text: object) -> str:
    """Escape characters that are invisible or act on their neighbours: newlines, controls, changes of direction."""
    if str(text).isprintable():  # a picture as text has 30,000 characters
        return str(text)
    seen = (unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in str(text))
    return "".join(c.encode("unicode_escape").decode() if acts else c for c, acts in zip(str(text), seen, strict=True))


def part(card: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a section of a card; empty if it is null or missing."""
    value = card.get(key)
    return value if isinstance(value, dict) else {}


def metric_words(name: str) -> str:
    """Turn ``val/acc`` into ``validation accuracy``; names that are not known stay as they are."""
    split, _, metric = name.partition("/")
    return f"{SPLITS[split]} {METRICS[metric]}" if split in SPLITS and metric in METRICS else name


def percent(share: float | None) -> str:
    """Format a share as ``91.0 %``."""
    return plain_percent(share).replace(" ", "\N{NO-BREAK SPACE}") if share is not None else NOT_KNOWN


def figure(name: str, value: float | None) -> str:
    """Format the value of a metric, such as ``acc`` or ``val/acc``; shares in per cent."""
    if value is None:
        return NOT_KNOWN
    return percent(value) if name.rpartition("/")[2] in _SHARES and math.isfinite(value) else f"{value:.4f}"


def count(number: int | None) -> str:
    """Format a count with separators between thousands."""
    return f"{number:,}" if number is not None else NOT_KNOWN


def duration(time_s: float | None) -> str:
    """Format a duration as ``2 h 5 min``, ``2 min 3 s`` or ``4.2 s``."""
    if time_s is None:
        return ""
    if time_s < 60:
        return f"{time_s:.1f} s"
    if time_s < 3600:
        return f"{int(time_s) // 60} min {int(time_s) % 60} s"
    minutes = round(time_s / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def moment(started: str | None) -> str:
    """Format an ISO time to the minute, with its zone."""
    try:
        return f"{datetime.fromisoformat(started or ''):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return started or ""


def plain_value(value: Any) -> str:
    """Format the value of an option as it is typed; a dash for ``None``, and long values are cut."""
    if value is None:
        return "\N{EN DASH}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + " \N{HORIZONTAL ELLIPSIS}"


def options(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """List options as they are typed, nested ones by dotted names."""
    found = []
    for name, value in values.items():
        inside = isinstance(value, dict) and value
        found += options(value, f"{above}{name}.") if inside else [(f"{above}{name}", plain_value(value))]
    return found
