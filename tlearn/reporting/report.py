"""``report.html``: one page for whoever trained a network, that opens offline and can be mailed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tlearn.errors import TlearnError, one_line
from tlearn.reporting import wording
from tlearn.reporting.charts import Line, line_chart
from tlearn.reporting.curves import Curves, learning_rates, read_curves
from tlearn.reporting.evaluation_view import SHOWN_CLASSES, evaluation_view
from tlearn.reporting.svg import Format
from tlearn.reporting.wording import count, part, plain_value

_SHOWN_GROUPS = 6
_TITLES = {"loss": "Loss", "acc": "Accuracy", "f1": "F1", "mae": "Mean absolute error"}


def report_html(folder: Path) -> str:
    """Build the page from what a run's folder holds.

    Args:
        folder: With ``card.json``; ``metrics.csv`` and ``evaluation/*.json`` are shown where they are there.

    Raises:
        TlearnError: No card, or not a readable one.
    """
    card = _read_card(folder / "card.json")
    curves = read_curves(folder / "metrics.csv")
    files = {split: _read_evaluation(folder / "evaluation" / f"{split}.json") for split in ("test", "val")}
    evaluations = [evaluation_view(split, folder, card, file, curves) for split, file in files.items()]
    return _template().render(
        head=_head(card),
        charts=_charts(card, curves),
        evaluations=[evaluation for evaluation in evaluations if evaluation],
        network=_network(card),
        audit=wording.audit_words(card),
        data=_data(card),
        doctor=_doctor(card),
        environment=_pairs(part(card, "environment")),
        again={"command": card.get("command"), "predict": wording.predict_command(card), "test": _test_command(card)},
    )


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tlearn.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: wording.visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TlearnError(f"a report needs the card of a run, {path}: {one_line(error)}") from error
    if not isinstance(card, dict):
        raise TlearnError(f"{path} is not the card of a run")
    return card


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    """Return what is in the file; a report without a file that cannot be read is better than none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _head(card: Mapping[str, Any]) -> dict[str, Any]:
    label, value, epoch = wording.best_words(card)
    test_label, test_value = wording.test_words(card)
    results = [(value, f"best {label}", epoch)] if value else []
    results += [(test_value, test_label, "")] if test_value else []
    facts = [
        ("Started", wording.moment(card.get("started"))),
        ("Took", wording.duration(card.get("time_s"))),
        ("Device", part(card, "environment").get("device") or ""),
    ]
    status = str(card.get("status") or "").partition(":")[0]
    return {
        "title": wording.title(card),
        "name": card.get("name") or "run",
        "version": card.get("version"),
        "status": status if status in ("finished", "interrupted", "failed", "tested") else "unknown",
        "status_words": wording.status_words(card),
        "alert": wording.alert(card),
        "results": results,
        "facts": [(name, value) for name, value in facts if value],
        "sentence": wording.what_it_did(card),
    }


def _charts(card: Mapping[str, Any], curves: Curves) -> list[tuple[str, Markup]]:
    best = part(card, "best").get("epoch")
    metric = wording.MAIN_METRIC.get(card.get("task") or "", "acc")
    charts = []
    for name in ("loss", metric):
        found = {split: curves[f"{split}/{name}"] for split in ("val", "train") if f"{split}/{name}" in curves}
        show: Format = _share_tick if name in ("acc", "f1") else "{:.4g}".format
        charts += _chart(_TITLES[name], found, show, best)
    rates = dict(list(learning_rates(curves).items())[:_SHOWN_GROUPS])
    return charts + _chart("Learning rate", rates, "{:.3g}".format, None)


def _chart(title: str, found: Curves, show: Format, best: int | None) -> list[tuple[str, Markup]]:
    lines = [Line(name, sorted(curve.items())) for name, curve in found.items()]
    if not lines:
        return []
    seen = {epoch for line in lines for epoch, _ in line.points}
    epochs = f"{title} over {len(seen)} epoch" + ("" if len(seen) == 1 else "s")
    return [(title, Markup(line_chart(lines, epochs, show, best if best in seen else None)))]


def _share_tick(share: float) -> str:
    """Write a share at an axis, without decimals it does not need."""
    return f"{100 * share:.4g}\N{NO-BREAK SPACE}%"


def _network(card: Mapping[str, Any]) -> dict[str, Any]:
    stages = card.get("stages") or []
    words = {"trainable": "trains", "frozen": "frozen", "left_out": "left out"}
    numbers = [name for name in words if name != "left_out" or any(stage.get(name) for stage in stages)]
    parameters, temperature = part(card, "parameters"), card.get("temperature")
    facts = [("Parameters that train", count(parameters.get("trainable")))] if parameters else []
    facts += [("Frozen parameters", count(parameters.get("frozen")))] if parameters else []
    facts += [("Temperature", f"{temperature:.4g}")] if temperature is not None else []
    return {
        "facts": facts,
        "options": _pairs(part(card, "model")),
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


def _data(card: Mapping[str, Any]) -> dict[str, Any]:
    data = part(card, "data")
    splits = part(data, "splits")
    known = [split for split in ("train", "val", "test") if splits.get(split)]
    names = list(card.get("class_names") or dict.fromkeys(n for s in known for n in part(splits[s], "classes")))
    counted = any(part(splits[split], "classes") for split in known)
    return {
        "module": data.get("module"),
        "fingerprint": data.get("fingerprint"),
        "splits": [(wording.SPLITS[split], count(splits[split].get("images"))) for split in known],
        "classes": [
            (name, [count(part(splits[split], "classes").get(name, 0)) for split in known])
            for name in names[: SHOWN_CLASSES if counted else 0]
        ],
        "more_classes": max(0, len(names) - SHOWN_CLASSES) if counted else 0,
        "options": _pairs(part(data, "options")),
    }


def _doctor(card: Mapping[str, Any]) -> dict[str, Any]:
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
    return {"findings": findings, "words": wording.doctor_words(card)}


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, plain_value(value)) for name, value in values.items()]


def _test_command(card: Mapping[str, Any]) -> str | None:
    command = part(card, "test").get("command")
    return command if isinstance(command, str) and command != card.get("command") else None
