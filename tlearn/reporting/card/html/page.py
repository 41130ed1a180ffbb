"""``report.html``: one page about a run, which opens offline and can be mailed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.next_command import PHOTOS
from tlearn.reporting.card import sentences as card_words
from tlearn.reporting.card.curves import Curves, learning_rates, read_curves
from tlearn.reporting.card.format import MAIN_METRIC, options, part, visible
from tlearn.reporting.card.headline import interval_note, splits_words
from tlearn.reporting.card.html.charts import Line, line_chart
from tlearn.reporting.card.html.pictures import pictures_view
from tlearn.reporting.card.html.race import race_view
from tlearn.reporting.card.html.reliability import reliability_view
from tlearn.reporting.card.html.results import evaluation_view, metrics_view
from tlearn.reporting.card.html.svg import Format
from tlearn.reporting.card.html.views import data_view, doctor_view, head_view, network_view, test_command

_SHOWN_GROUPS = 6
_MATRIX_WORDS = (
    "Confusion matrix: rows are true classes, columns what was answered; the stronger the shade, the larger a cell's "
    "share of its row."
)
_TITLES = {"loss": "Loss", "acc": "Accuracy", "f1": "F1", "mae": "Mean absolute error"}


def report_html(folder: Path) -> str:
    """Build the page from the files of a run folder.

    Args:
        folder: Holds ``card.json``; ``metrics.csv`` and ``evaluation/*.json`` are shown if they exist.

    Raises:
        TlearnError: There is no card, or it cannot be read.
    """
    card = _read_card(folder / "card.json")
    curves = read_curves(folder / "metrics.csv")
    files = {split: _read_evaluation(folder / "evaluation" / f"{split}.json") for split in ("test", "val", "train")}
    training = files.pop("train")
    known = {split: file for split, file in files.items() if file is not None}
    images = {split: int(file["images"]) for split, file in known.items() if file.get("images")}
    views = [evaluation_view(split, folder, card, file, curves) for split, file in files.items()]
    evaluations = [evaluation for evaluation in views if evaluation]
    shown = {
        "head": head_view(card, images),
        "evaluations": evaluations,
        "metrics": metrics_view(evaluations),
        "splits_words": _notes(card, images, evaluations),
        "matrix_words": _MATRIX_WORDS,
        "race": race_view(_read_evaluation(folder / "race.json")),
        "pictures": pictures_view(known, training),
        "reliability": reliability_view(_read_evaluation(folder / "evaluation" / "reliability.json")),
        "charts": _charts(card, curves),
        "network": network_view(card),
        "audit": card_words.audit_words(card),
        "data": data_view(card),
        "doctor": doctor_view(card),
        "environment": options(part(card, "environment")),
        "again": {
            "command": card.get("command"),
            "predict": card_words.predict_command(card),
            "what": f"{PHOTOS} is a folder, a pattern or files:",
            "test": test_command(card),
        },
    }
    script = _resource("report.js")
    return _template().render(
        contents=_contents(shown),
        style=Markup(_resource("style.css")),  # ours, like the script: nothing in them comes from a run
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        **shown,
    )


def _notes(card: Mapping[str, Any], images: Mapping[str, int], evaluations: Sequence[Mapping[str, Any]]) -> str:
    shown = [str(evaluation["split"]) for evaluation in evaluations]
    return " ".join(note for note in (interval_note(card, images), splits_words(card, shown)) if note)


def _contents(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the parts of the page that there are: their anchors and names."""
    evaluations, pictures = shown["evaluations"], shown["pictures"]

    def has(part: str) -> bool:
        return any(evaluation[part] for evaluation in evaluations)

    matrices = [evaluation["matrix"] for evaluation in evaluations if evaluation["matrix"]]
    there = {
        ("results", "Results"): evaluations,
        ("race", "The race"): shown["race"],
        ("pictures", "Pictures"): pictures["wrong"] or pictures["right"] or pictures["training"],
        ("confusion", "Confusions"): has("confusions") or (matrices and not matrices[0]["large"]),
        ("classes", "Classes"): has("classes"),
        ("confidence", "Confidence"): has("reliability"),
        ("believe", "What may be believed"): shown["reliability"],
        ("scatter", "Predicted and true"): has("scatter"),
        ("curves", "Curves"): shown["charts"],
        ("network", "Network"): True,
        ("data", "Data"): True,
        ("environment", "Environment"): shown["environment"],
        ("again", "Commands"): True,
    }
    return [entry for entry, is_there in there.items() if is_there]


def _resource(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache  # compiling takes a tenth of a second
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tlearn.reporting.card.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
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
    """Return the content of the file, or ``None``: a report without a damaged file is better than no report."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _charts(card: Mapping[str, Any], curves: Curves) -> list[tuple[str, Markup]]:
    best = part(card, "best").get("epoch")
    metric = MAIN_METRIC.get(card.get("task") or "", "acc")
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
    """Format a share for an axis, without trailing zeros."""
    return f"{100 * share:.4g}\N{NO-BREAK SPACE}%"
