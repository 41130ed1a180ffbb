"""Small tables for ``_repr_html_``, with which a notebook shows a result in place of its ``repr``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

_MOST_ROWS = 20


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
    above = f'<caption style="text-align: left">{escape(caption)}</caption>' if caption else ""
    return f"<table>{above}{head}<tbody>{body}</tbody></table>"


def percent(share: float) -> str:
    """Write a share as percent with one digit."""
    return f"{100 * share:.1f} %"


def metric(name: str, value: float) -> str:
    """Write a metric as people read it: accuracies as percent, all others with four digits."""
    return percent(value) if "acc" in name.rpartition("/")[2] else f"{value:.4g}"


def _cell(value: object, tag: str) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f'<{tag} style="text-align: left">{escape(text)}</{tag}>'
