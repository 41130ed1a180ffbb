"""What the doctor says of each picture by itself, in short lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tlearn.data.files.findings import Finding, Picture

_MOST_NAMED = 3
_WITH_OTHERS = {
    "contrary_labels": "the same picture, another label: ",
    "duplicates": "the same picture: ",
    "near_duplicates": "looks like ",
    "turned_duplicates": "once turned or mirrored looks like ",
}
_ALONE = {
    "flat": "a single colour",
    "small": "less than half of the pixels that the network sees",
    "odd_format": "a format that few of these files have",
}


def lines_by_picture(findings: Sequence[Finding], pictures: Sequence[Picture]) -> Mapping[str, list[str]]:
    """Return the lines on each picture, by its path relative to the root.

    Args:
        findings: Of `tlearn.data.doctor.diagnosis.diagnose`; those about a whole class or split are passed over.
        pictures: What was looked at.
    """
    labels = {each.name: each.label for each in pictures}
    lines: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        kind = finding.kind.removesuffix("_across_splits")
        for group in finding.files:
            for name, line in _lines(kind, group, labels):
                lines[name].append(line)
    return dict(lines)


def _lines(kind: str, group: Sequence[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if kind in _ALONE:
        yield from ((name, _ALONE[kind]) for name in group)
    if kind not in _WITH_OTHERS:
        return
    for name in group:
        others = [other for other in group if other != name]
        named = [f"{other} ({labels[other]})" if other in labels else other for other in others[:_MOST_NAMED]]
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        if named:
            yield name, f"{_WITH_OTHERS[kind]}{', '.join(named)}{more}"
