"""The run card as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tlearn.reporting.card import sentences as card_words
from tlearn.reporting.card.format import SPLITS, count, duration, figure, metric_words, moment, options, part, visible
from tlearn.reporting.card.headline import interval_note, scores, trained_words

_SHOWN_CLASSES, _SHOWN_STAGES, _SHOWN_OPTIONS, _SHOWN_FINDINGS = 20, 14, 16, 8
_MARKS = re.compile(r"[\\`*\[\]|~#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# GitHub turns these into links or mentions even without brackets.
_LINKS = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=www)\.|@", re.IGNORECASE)


def card_markdown(card: dict[str, Any]) -> str:
    """Return the card as Markdown. Names of classes and files are escaped, whatever they contain."""
    sections = (
        ("", _opening(card)),
        ("Results", _results(card)),
        ("Run it again", _commands(card)),
        ("Model", _model(card)),
        ("Stages", _stages(card)),
        ("Freeze audit", [markdown_text(card_words.audit_words(card))]),
        ("Data", _data(card)),
        ("Doctor", _doctor(card)),
        ("Environment", _pairs(part(card, "environment"))),
    )
    lines = [f"# {markdown_text(card_words.title(card))}", ""]
    for heading, body in sections:
        if body:
            lines += [f"## {heading}", ""] if heading else []
            lines += [*body, ""]
    return "\n".join(lines)


def markdown_text(text: object) -> str:
    """Escape a text so that it contains no Markdown or HTML, in a line or in a cell of a table."""
    safe = _MARKS.sub(lambda found: "\\" + found[0], escape(visible(text), quote=False))
    return _LINKS.sub(lambda found: f"&#{ord(found[0])};", safe)


def _opening(card: Mapping[str, Any]) -> list[str]:
    alert, about = card_words.alert(card), [f"Status: {card_words.status_words(card)}."]
    trained = trained_words(card)
    about += [f"Started {moment(card['started'])}."] if card.get("started") else []
    about += [f"Took {duration(card['time_s'])}."] if card.get("time_s") is not None else []
    text = [markdown_text(card_words.what_it_did(card)), "", markdown_text(" ".join(about))]
    text = [f"**{markdown_text(trained)}**", "", *text] if trained else text
    return [f"**{markdown_text(alert)}**", "", *text] if alert else text


def _results(card: Mapping[str, Any]) -> list[str]:
    found = scores(card)
    rows = [(each.label + (f" ({each.note})" if each.note else ""), _with(each.value, each.of)) for each in found]
    of_best, tested = part(part(card, "best"), "metrics"), part(part(card, "test"), "metrics")
    shown_metrics, when = (of_best, "") if of_best else (part(card, "metrics"), "last ")
    said = [each.label for each in found]
    rows += [(metric_words(name), figure(name, tested[name])) for name in tested if metric_words(name) not in said]
    shown = [name for name in shown_metrics if name.startswith(("train/", "val/")) and metric_words(name) != name]
    rows += [(f"{when}{metric_words(name)}", figure(name, shown_metrics[name])) for name in shown]
    note = interval_note(card)
    lines = table(("metric", "value"), rows, ":--", "--:") if rows else ["No result is on record."]
    return [*lines, "", note] if note else lines


def _with(value: str, of: str) -> str:
    return f"{value}{'' if of.startswith('[') else ','} {of}" if of else value


def _commands(card: Mapping[str, Any]) -> list[str]:
    commands = dict.fromkeys([card.get("command"), part(card, "test").get("command"), card_words.predict_command(card)])
    shown = [visible(command) for command in commands if command]
    return [*_fenced(shown), "", "Every option is in [config.yaml](config.yaml)."] if shown else []


def _fenced(lines: Sequence[str]) -> list[str]:
    longest = max(map(len, re.findall(r"`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}console", *(f"$ {line}" for line in lines), fence]


def _model(card: Mapping[str, Any]) -> list[str]:
    parameters, calibrated = part(card, "parameters"), card_words.calibrated(card)
    about = {name.lower(): value for name, value in card_words.pixel_facts(card)} | part(card, "model")
    about |= {f"{kind} parameters": count(number) for kind, number in parameters.items()}
    about |= {"calibrated": calibrated} if calibrated else {}
    return _pairs(about)


def _stages(card: Mapping[str, Any]) -> list[str]:
    stages = card.get("stages") or []
    rows = [
        (
            stage.get("stage"),
            *(count(stage.get(kind) or 0) for kind in ("trainable", "frozen", "left_out")),
            stage.get("lr_scale") or "",
            stage.get("batch_norm") or "",
        )
        for stage in stages[:_SHOWN_STAGES]
    ]
    head = ("stage", "trains", "frozen", "left out", "rate", "BatchNorm")
    more = _more(stages, _SHOWN_STAGES)
    return [*table(head, rows, ":--", "--:", "--:", "--:", "--:", ":--"), *(["", more] if more else [])] if rows else []


def _data(card: Mapping[str, Any]) -> list[str]:
    data = part(card, "data")
    splits = part(data, "splits")
    rows = [
        (SPLITS.get(split, split), count(part(splits, split).get("images")), _classes(part(splits, split)))
        for split in splits
    ]
    counts = table(("split", "images", "images of each class"), rows, ":--", "--:", ":--") if rows else []
    names = [markdown_text(name) for name in (card.get("class_names") or [])]
    more = _more(names, _SHOWN_CLASSES)
    lines = [f"Source: {markdown_text(data['module'])}.", ""] if data.get("module") else []
    if names:
        kind = "columns" if card.get("task") == "regression" else "classes"
        lines += [f"{len(names)} {kind}: " + ", ".join([*names[:_SHOWN_CLASSES], *([more] if more else [])]) + ".", ""]
    lines += [*counts, ""] if counts else []
    options, fingerprint = _pairs(part(data, "options")), data.get("fingerprint")
    lines += [*options, ""] if options else []
    ranges = card_words.range_words(card)
    lines += [f"Black to white, learned from the training pictures: {markdown_text(ranges)}.", ""] if ranges else []
    lines += [f"Fingerprint: {markdown_text(fingerprint)}", ""] if fingerprint else []
    return lines[:-1]


def _classes(split: Mapping[str, Any]) -> str:
    numbers = [number for number in part(split, "classes").values() if number is not None]
    if not numbers:
        return ""
    return count(min(numbers)) + (f" to {max(numbers):,}" if max(numbers) > min(numbers) else "")


def _doctor(card: Mapping[str, Any]) -> list[str]:
    findings, words = part(card, "doctor").get("findings") or [], card_words.doctor_words(card)
    lines = [
        f"- {markdown_text(finding.get('severity') or 'note')}: {markdown_text(finding.get('what') or '')}"
        for finding in findings[:_SHOWN_FINDINGS]
    ]
    more = _more(findings, _SHOWN_FINDINGS)
    lines += [f"- {more}"] if more else []
    return [*lines, *([""] if lines and words else []), *([markdown_text(words)] if words else [])]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    rows = options(values)
    more = _more(rows, _SHOWN_OPTIONS)
    return [*table(("", ""), rows[:_SHOWN_OPTIONS], ":--", ":--"), *(["", more] if more else [])] if rows else []


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *columns: str) -> list[str]:
    """Return the lines of a table. Cells are escaped; ``columns`` are the alignments."""
    body = [" | ".join(markdown_text(cell) for cell in row) for row in rows]
    return [f"| {line} |" for line in (" | ".join(head), " | ".join(columns), *body)]


def _more(items: Sequence[object], shown: int) -> str:
    return f"and {len(items) - shown} more" if len(items) > shown else ""
