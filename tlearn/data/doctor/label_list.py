"""What the list of labels beside the pictures says: how many decisions, and which of its rows do not count."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tlearn.data.files.findings import Finding
from tlearn.data.files.listing import number_of
from tlearn.data.labels.applied import Effect, ListedLabels, told_of_gone, told_of_late
from tlearn.data.labels.label_list import LABELS

_WORDS: tuple[tuple[Effect, str], ...] = (
    ("changed", "{} changed"),
    ("labelled", "{} labelled"),
    ("left_out", "{} left out"),
    ("kept", "{} kept"),
    ("unsure", "{} unsure"),
    ("as_it_was", "{} as folder or table say by now"),
)


def label_list_findings(labels: ListedLabels) -> list[Finding]:
    """Count the decisions, and find the rows that do not count; nothing without a list.

    Args:
        labels: The list, after the pictures of all splits have been listed.
    """
    if not len(labels):
        return []
    effects = Counter(each.effect for each in labels.applied)
    parts = [words.format(effects[effect]) for effect, words in _WORDS if effects[effect]]
    told = f": {', '.join(parts)}" if parts else ""
    findings = [Finding("label_list", "note", f"{number_of(len(labels), 'decision')} in {LABELS}{told}")]
    late = [each for each in labels.applied if each.effect == "out_of_date"]
    if late:
        files = [[each.path] for each in late]
        findings.append(Finding("label_list_out_of_date", "warning", told_of_late(late), files))
    gone, elsewhere = labels.gone, _elsewhere(labels)
    if gone:
        findings.append(Finding("label_list_gone", "warning", told_of_gone(gone), [[row.path] for row in gone]))
    if elsewhere:
        what = number_of(len(elsewhere), f"row of {LABELS} names a file", f"rows of {LABELS} name files")
        told = f"{what} that no split has"
        findings.append(Finding("label_list_elsewhere", "note", told, [[path] for path in elsewhere]))
    return findings


def label_list_facts(labels: ListedLabels) -> dict[str, Any]:
    """Return the same for ``doctor.json``, with the names of the files; nothing without a list."""
    if not len(labels):
        return {}
    effects = Counter(each.effect for each in labels.applied)
    facts: dict[str, Any] = {"file": LABELS, "decisions": len(labels)}
    facts |= {effect: effects[effect] for effect, _ in _WORDS}
    facts["out_of_date"] = [each.path for each in labels.applied if each.effect == "out_of_date"]
    facts["gone"] = [row.path for row in labels.gone]
    facts["elsewhere"] = _elsewhere(labels)
    return {"label_list": facts}


def _elsewhere(labels: ListedLabels) -> list[str]:
    gone = {row.path for row in labels.gone}
    return [row.path for row in labels.of_no_picture if row.path not in gone]
