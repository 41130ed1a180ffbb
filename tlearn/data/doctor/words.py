"""What the doctor prints of splits and findings, in plain words."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tlearn.base.name_forms import visible
from tlearn.data.files.findings import Finding
from tlearn.data.files.listing import number_of

_SHOWN = 3  # files of a finding
_NAMED = 6  # classes that are named with their counts
_INDENT = " " * 9
_FORMATS = {"HEIF": "HEIC", "JPEGXL": "JPEG XL", "JPEG2000": "JPEG 2000"}
_KINDS = {
    **dict.fromkeys(("RGB", "YCbCr", "P", "PA"), "colour"),
    **dict.fromkeys(("L", "LA"), "grey"),
    "RGBA": "colour with transparency",
    "1": "black and white",
    "CMYK": "inks (CMYK)",
}


def split_line(split: str, about: Mapping[str, Any]) -> str:
    """Say in one line what a split holds.

    Args:
        split: Its name.
        about: Its part of `tlearn.data.doctor.diagnosis.summary_of`.
    """
    classes = {name: count for name, count in about["classes"].items() if name}
    unlabelled = about["classes"].get("", 0)
    line = f"{split}: {number_of(about['images'], 'picture')}"
    if classes:  # values are no labels
        each = ", ".join(f"{name} {count}" for name, count in classes.items())
        least, most = min(classes.values()), max(classes.values())
        counts = each if len(classes) <= _NAMED else f"{least} each" if least == most else f"{least} to {most} each"
        line += f" of {number_of(len(classes), 'class', 'classes')} ({counts})"
    if unlabelled:
        line += f"{' and' if classes else ','} {unlabelled} without a label"
    if about.get("groups"):
        line += f" in {number_of(about['groups'], 'group')}"
    formats = {_FORMATS.get(name, name): count for name, count in about["formats"].items()}
    kinds = Counter[str]()
    for mode, count in about["modes"].items():
        kinds[_KINDS.get(mode, mode)] += count
    return "; ".join([line, *filter(None, [_counted(formats), _counted(kinds), _sides(about)])])


def _counted(counts: Mapping[str, int]) -> str:
    """Return ``JPEG 196, GIF 1``, or the only name without its count."""
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{name} {count}" for name, count in counts.items())


def _sides(about: Mapping[str, Any]) -> str:
    sides = about["short_side_px"]
    if not sides:
        return ""
    least, most = sides["min"], sides["max"]
    return f"short side {least} px" if least == most else f"short side {least} to {most} px, median {sides['median']:g}"


def finding_lines(finding: Finding, width: int | None) -> list[str]:
    """Say what was found, with the first files, each in a line of its own that can be copied.

    Args:
        finding: What was found.
        width: Columns of the terminal; ``None`` wraps nothing.
    """
    first = f"{finding.severity:<{len(_INDENT)}}"
    what = [first + finding.what]
    if width is not None:
        what = textwrap.wrap(first + finding.what, max(width, 40), subsequent_indent=_INDENT, break_on_hyphens=False)
    files = [_INDENT + _together(group) for group in finding.files[:_SHOWN]]
    more = len(finding.files) - _SHOWN
    rest = [f"{_INDENT}and {more} more"] if more > 0 else []
    left_out = [f"{_INDENT}--fix leaves out {len(finding.exclude)}"] if finding.exclude else []
    return [*what, *files, *rest, *left_out]


def _together(group: Sequence[str]) -> str:
    return " = ".join(map(visible, group[:4])) + (" ..." if len(group) > 4 else "")
