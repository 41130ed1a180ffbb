"""A comparison of runs and their averages as plain values, for ``--out`` and beside the run that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlearn.analysis.soups.candidates import Judged
from tlearn.commands.soup.comparison import SoupComparison, Table
from tlearn.commands.soup.members import Member
from tlearn.commands.soup.table import kept_words


def record_of(found: SoupComparison, members: Sequence[Member]) -> dict[str, Any]:
    """Return everything, the loss and score of each image too."""
    kept = found.kept
    return {
        "score": found.score,
        "members": {each.name: str(each.checkpoint.path) for each in members},
        "greedy": list(found.greedy),
        "batch_norms_measured_anew": found.norms,
        "val": _table(found.val),
        "test": None if found.test is None else _table(found.test),
        "kept": {
            "name": kept.candidate.name,
            "kind": kept.candidate.kind,
            "members": list(kept.candidate.members),
            "least": kept.least.name,
            "difference": kept.difference,
            "standard_error": kept.standard_error,
            "forced": found.forced,
            "words": kept_words(found),
        },
    }


def _table(table: Table) -> dict[str, Any]:
    about = {"images": table.images, "groups": table.groups, "test": "McNemar" if table.exact else "permutation"}
    return {**about, "candidates": [_row(row) for row in table.rows]}


def _row(row: Judged) -> dict[str, Any]:
    each = row.candidate
    return {
        "name": each.name,
        "kind": each.kind,
        "members": list(each.members),
        "passes": each.passes,
        "mean": each.score,
        "interval": row.interval,
        "loss": each.loss,
        "difference": row.difference,
        "p_value": row.p_value,
        "scores": each.scores.tolist(),
        "losses": each.losses.tolist(),
    }
