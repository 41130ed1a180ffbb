"""What the doctor found, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlearn.data.files.findings import Finding
from tlearn.data.files.listing import number_of

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_SHOWN = 3


def print_findings(summary: Mapping[str, Mapping[str, Any]], findings: Sequence[Finding]) -> None:
    """Print a line for each split and one table of what was found."""
    console = Console(highlight=False)
    for split, about in summary.items():
        console.print(Text(_split_line(split, about)), soft_wrap=True)
    if not findings:
        console.print("nothing found")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("")
    for column in ("found", "files", "--fix"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        excludes = f"leaves out {len(finding.exclude)}" if finding.exclude else "-"
        label = Text(finding.severity, style=_COLOURS[finding.severity])
        table.add_row(label, Text(finding.what), Text(_files(finding.files)), excludes)
    console.print(table)


def _split_line(split: str, about: Mapping[str, Any]) -> str:
    counts, sides = about["classes"].values(), about["short_side_px"]
    line = f"{split}: {number_of(about['images'], 'picture')}"
    if counts:  # values are no labels
        line += f", {number_of(len(counts), 'label')} ({min(counts)} to {max(counts)} each)"
    if sides:
        line += f", short side {sides['min']} to {sides['max']} px, median {sides['median']:g}"
    for kind in ("formats", "modes"):
        line += "; " + ", ".join(f"{name} {count}" for name, count in about[kind].items())
    return line


def _files(groups: Sequence[Sequence[str]]) -> str:
    shown = "\n".join(" = ".join(group[:4]) + (" ..." if len(group) > 4 else "") for group in groups[:_SHOWN])
    return shown + (f"\nand {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")
