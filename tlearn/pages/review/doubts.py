"""The table that ``review --out`` writes: every picture, the most doubtful first. N pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tlearn.base.files import safe_cell, write_whole
from tlearn.base.intervals import percent
from tlearn.base.notebook.html_table import html_table
from tlearn.pages.review.items import NEIGHBOURS
from tlearn.pages.review.json_types import Item
from tlearn.pages.review.session import ReviewSession

_SHOWN = 20


class Doubt(NamedTuple):
    """A label, and what speaks against it.

    Attributes:
        path: The picture, relative to the folder of the pictures.
        label: Its label in the data.
        proposal: What a head says that has not seen it; empty where there is none.
        probability: Of the proposal; ``None`` without one.
        doubt: 0 to 1, of the label that holds now; likewise.
        group: The name of its group; empty without groups.
        decision: What somebody has decided; empty where nobody has.
        new_label: The label by that decision; empty without one.
        neighbours: Paths and labels of the three pictures that look most alike.
    """

    path: str
    label: str
    proposal: str
    probability: float | None
    doubt: float | None
    group: str
    decision: str
    new_label: str
    neighbours: list[tuple[str, str]]


class Doubts(list[Doubt]):
    """All pictures, the most doubtful first.

    Attributes:
        worth_looking: How many labels that nobody has decided on are wrong, estimated.
        score: Share of right answers out of fold, on the labels as decided; ``None`` where no picture has an answer.
        remark: Which network looked, where that is not plain.
    """

    def __init__(self, rows: Sequence[Doubt], worth_looking: int, score: float | None, remark: str) -> None:
        super().__init__(rows)
        self.worth_looking, self.score, self.remark = worth_looking, score, remark

    def _repr_html_(self) -> str:
        """Show the most doubtful in a notebook."""
        shown = [
            (each.path, each.label, each.proposal, "" if each.probability is None else percent(each.probability))
            for each in self[:_SHOWN]
        ]
        caption = f"{len(self):,} pictures, some {self.worth_looking:,} labels may be wrong; the most doubtful:"
        return html_table(shown, ("picture", "label", "the network says", "probability"), caption)


def doubts_of(session: ReviewSession) -> Doubts:
    """List all pictures of a session."""
    state = session.state()
    items = session.items(count=len(session.pool))["items"]
    return Doubts([_row(item) for item in items], state["worth_looking"], state["score"]["now"], state["remark"])


def write_doubts(path: Path, doubts: Sequence[Doubt]) -> None:
    """Write a table for a spreadsheet: CSV, UTF-8, a row for each picture.

    Raises:
        TlearnError: The file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    beside = [f"neighbour_{number}{tail}" for number in range(1, NEIGHBOURS + 1) for tail in ("", "_label")]
    rows.writerow([*Doubt._fields[:-1], *beside])
    for each in doubts:
        pairs = [cell for pair in each.neighbours for cell in pair]
        cells = [*each[:-1], *pairs, *[""] * (len(beside) - len(pairs))]
        rows.writerow(f"{cell:.6f}" if isinstance(cell, float) else safe_cell(cell) for cell in cells)
    write_whole(path, text.getvalue())


def _row(item: Item) -> Doubt:
    return Doubt(
        path=item["name"],
        label=item["label"],
        proposal=item["proposal"] or "",
        probability=item["probability"],
        doubt=item["doubt"],
        group=item["group"] or "",
        decision=item["decision"] or "",
        new_label=item["new_label"] or "",
        neighbours=[(each["name"], each["label"]) for each in item["neighbours"]],
    )
