"""Small tables for ``_repr_html_``, with which a notebook shows a result in place of its ``repr``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import islice

from tlearn.base.intervals import percent

_MOST_ROWS = 20
_SCORES = ("loss", "acc", "f1", "map", "mae", "r2")


def html_table(rows: Iterable[Sequence[object]], columns: Sequence[str] = (), caption: str = "") -> str:
    """Return a table in HTML, every text of it escaped, of at most 20 rows.

    Args:
        rows: Of any length; ``None`` is an empty cell, a float has four digits.
        columns: Their names; none for pairs of a name and a value.
        caption: What stands above the table.
    """
    listed = list(rows)
    head = f"<thead><tr>{''.join(_cell(name, 'th') for name in columns)}</tr></thead>" if columns else ""
    body = "".join(f"<tr>{''.join(_cell(value, 'td') for value in row)}</tr>" for row in islice(listed, _MOST_ROWS))
    left = len(listed) - _MOST_ROWS
    if left > 0:
        body += f"<tr>{_cell(f'and {left} more', 'td')}</tr>"
    above = f'<caption style="text-align: left; white-space: nowrap">{escape(caption)}</caption>' if caption else ""
    return f"<table>{above}{head}<tbody>{body}</tbody></table>"


def metric_rows(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return losses and scores as people read them: accuracies as percent, all others with four digits."""
    shown = {name: value for name, value in metrics.items() if name.rpartition("/")[2].startswith(_SCORES)}
    return [
        (name, percent(value) if "acc" in name else f"{value:.4g}")
        for name, value in sorted(shown.items(), reverse=True)  # val before train
        if not name.endswith("_step")
    ]


def _cell(value: object, tag: str) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f'<{tag} style="text-align: left">{escape(text)}</{tag}>'
