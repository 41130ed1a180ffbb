"""Read the list of labels, and say which of its rows count."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import compress
from operator import not_
from pathlib import Path

from tlearn.data.labels.applied import ListedLabels
from tlearn.data.labels.label_list import Kind, LabelList

_COUNTING: ContextVar[Collection[Kind] | None] = ContextVar("_COUNTING", default=None)


@contextmanager
def counting_only(*kinds: Kind) -> Iterator[None]:
    """Let only rows of these decisions count in data that are made inside.

    A page that shows what is decided beside the labels by folder or table needs those labels, and the pictures that are
    left out. Training and validation pictures then are those of a fit before the first decision, so that what is known
    of them stays true.
    """
    token = _COUNTING.set(kinds)
    try:
        yield
    finally:
        _COUNTING.reset(token)


def listed_labels(root: Path) -> ListedLabels:
    """Read the list of labels of a folder of pictures; without one nothing is changed.

    Raises:
        TlearnError: It is damaged; names the row.
    """
    kinds, rows = _COUNTING.get(), LabelList(root).read().values()
    counts = [kinds is None or row.decision in kinds for row in rows]
    return ListedLabels(root, compress(rows, counts), compress(rows, map(not_, counts)))
