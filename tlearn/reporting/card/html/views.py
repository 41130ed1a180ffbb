"""The values that the templates of ``report.html`` show of a card: its head, the network, the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlearn.reporting.card import sentences as card_words
from tlearn.reporting.card.format import SPLITS, UNSET, count, duration, moment, options, part
from tlearn.reporting.card.headline import scores, trained_words

SHOWN_CLASSES = 40
Rows = list[tuple[str, str]]


def head_view(card: Mapping[str, Any], images: Mapping[str, int]) -> dict[str, Any]:
    """Return the head of the page: name, status, results, facts, what was trained, and what the run did.

    Args:
        card: The card.
        images: How many images each split was evaluated on.
    """
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
        "scores": scores(card, images),
        "trained": trained_words(card),
        "facts": [(name, value) for name, value in facts if value],
        "sentence": card_words.what_it_did(card),
    }


def network_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters, stages and options of the network."""
    stages = card.get("stages") or []
    words = {"trainable": "trains", "frozen": "frozen", "left_out": "left out"}
    numbers = [name for name in words if name != "left_out" or any(stage.get(name) for stage in stages)]
    parameters, calibrated = part(card, "parameters"), card_words.calibrated(card)
    facts = [("Parameters that train", count(parameters.get("trainable")))] if parameters else []
    facts += [("Frozen parameters", count(parameters.get("frozen")))] if parameters else []
    facts += [("Calibrated", calibrated)] if calibrated else []
    facts += card_words.pixel_facts(card)
    given, unset = _told_apart(options(part(card, "model")))
    return {
        "facts": facts,
        "options": given,
        "unset": unset,
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
    given, unset = _told_apart(options(part(data, "options")))
    facts = [("Source", data.get("module") or "")]
    facts += [(f"Images, {SPLITS[split]}", count(splits[split].get("images"))) for split in known]
    facts += [("Black to white, learned", card_words.range_words(card)), ("Fingerprint", data.get("fingerprint") or "")]
    return {
        "facts": [(name, value) for name, value in facts if value],
        "splits": [SPLITS[split] for split in known],
        "classes": [
            (name, [count(part(splits[split], "classes").get(name, 0)) for split in known])
            for name in names[: SHOWN_CLASSES if counted else 0]
        ],
        "more_classes": max(0, len(names) - SHOWN_CLASSES) if counted else 0,
        "options": given,
        "unset": unset,
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


def _told_apart(rows: Rows) -> tuple[Rows, list[str]]:
    """Return the options that are set, and the names of the others."""
    return [row for row in rows if row[1] not in UNSET], [name for name, value in rows if value in UNSET]
