"""Choose pictures by filters, and put together what the page shows beside each. N pictures, M of them chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tlearn.analysis.doubt.answers import UNKNOWN
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.base.errors import TlearnError, unknown
from tlearn.models.reliability.neighbours import KnownFeatures
from tlearn.pages.review.decided import Decided
from tlearn.pages.review.json_types import Filters, Item, Neighbour
from tlearn.pages.review.judgement import Judgement

NEIGHBOURS = 3


def chosen(pool: LabelledPool, judgement: Judgement, decided: Decided, filters: Filters) -> list[int]:
    """Return the rows of the pictures that are asked for, the most doubtful first; those asked for by id as they stand.

    Raises:
        TlearnError: A filter names no class, group or picture of these.
    """
    keep = torch.ones(len(pool), dtype=torch.bool)
    for each in _masks(pool, judgement.answers.proposals, decided, filters):
        keep &= each
    if filters.ids is None:
        return judgement.order[keep[judgement.order]].tolist()
    if wrong := [row for row in filters.ids if not 0 <= row < len(pool)]:
        raise TlearnError(f"expected numbers of pictures from 0 to {len(pool) - 1}, got {wrong[0]}")
    return [row for row in filters.ids if keep[row]]


def _masks(pool: LabelledPool, proposals: Tensor, decided: Decided, filters: Filters) -> Iterator[Tensor]:
    if filters.label is not None:
        _number_of(decided, filters.label)
        yield torch.tensor([name == filters.label for name in decided.given])
    if filters.proposal is not None:
        yield proposals == _number_of(decided, filters.proposal)
    if filters.group is not None:
        if pool.groups is None or filters.group not in pool.group_names:
            raise unknown("group", filters.group, pool.group_names)
        yield pool.groups == pool.group_names.index(filters.group)
    if filters.disagrees:
        now = decided.labels()
        yield (proposals != UNKNOWN) & (now != UNKNOWN) & (proposals != now)
    if filters.decided != "all":
        yield decided.rows() == (filters.decided == "yes")


def _number_of(decided: Decided, name: str) -> int:
    if name not in decided.class_names:
        raise unknown("class", name, decided.class_names)
    return decided.class_names.index(name)


def items_of(
    pool: LabelledPool,
    known: KnownFeatures,
    judgement: Judgement,
    decided: Decided,
    findings: Mapping[str, Sequence[str]],
    rows: Sequence[int],
) -> list[Item]:
    """Put together what the page shows of these pictures, M rows; all pictures are known."""
    near = neighbours_of(pool, known, decided, rows)
    probabilities, proposals = judgement.answers.probabilities, judgement.answers.proposals.tolist()
    items = []
    for row, beside in zip(rows, near, strict=True):
        said, doubt = proposals[row], float(judgement.answers.doubt[row])
        decision = decided.by_row.get(row)
        items.append(
            Item(
                id=row,
                name=pool.names[row],
                label=decided.given[row],
                proposal=None if said == UNKNOWN else decided.class_names[said],
                probability=None if said == UNKNOWN else float(probabilities[row, said]),
                doubt=doubt if doubt == doubt else None,
                group=pool.group(row),
                decision=None if decision is None else decision.decision,
                new_label=(decision.label or None) if decision else None,
                findings=list(findings.get(pool.names[row], ())),
                neighbours=beside,
            )
        )
    return items


def neighbours_of(
    pool: LabelledPool, known: KnownFeatures, decided: Decided, rows: Sequence[int]
) -> list[list[Neighbour]]:
    """Find the nearest other pictures of each of M, the nearest first; their labels are those that hold now."""
    if not rows:
        return []
    found = known.nearest(pool.features[torch.tensor(rows)], NEIGHBOURS + 1)
    beside = []
    for row, distances, others in zip(rows, found.distances.tolist(), found.rows.tolist(), strict=True):
        pairs = [(other, distance) for other, distance in zip(others, distances, strict=True) if other != row]
        beside.append(
            [
                Neighbour(id=other, name=pool.names[other], label=decided.label_of(other), distance=distance)
                for other, distance in pairs[:NEIGHBOURS]
            ]
        )
    return beside
