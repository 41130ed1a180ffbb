"""The card's files in a run folder: read ``card.json``, write it and the pages that are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tlearn.base.files import write_whole
from tlearn.reporting.card.html.page import report_html
from tlearn.reporting.card.markdown import card_markdown


def read_card(folder: Path) -> dict[str, Any]:
    """Return the content of ``card.json``; empty if there is none, or one of another program."""
    with suppress(OSError, ValueError):
        content = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("format") == 1:
            return content
    return {}


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the card as JSON and Markdown, and the report of everything in the folder."""
    write_whole(folder / "card.json", json.dumps(content, indent=1))
    write_pages(folder, content)


def write_pages(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write ``card.md`` and ``report.html`` of all that the folder holds, and return the path of the report."""
    write_whole(folder / "card.md", card_markdown(dict(content)))
    report = folder / "report.html"
    write_whole(report, report_html(folder))
    return report
