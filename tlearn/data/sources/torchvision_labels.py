"""The labels of torchvision's datasets and what they stand for. Letters: N items."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tlearn.base.errors import TlearnError
from tlearn.data.files.progress import tracked
from tlearn.data.files.reading import reason_of

log = logging.getLogger(__name__)

# How torchvision's classes call what each item is, in turn: there is no rule.
_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("_samples", "samples")  # (picture, label)
_NAMES = ("classes", "categories", "all_categories")

Labels = Sequence[int | None]


def labels_of(items: Any, what: str) -> Labels:
    """Return the N labels, without decoding a picture where the dataset keeps them apart.

    Args:
        items: The dataset.
        what: Its name, for what is told.

    Raises:
        TlearnError: An item has no single whole number for a label, or cannot be read.
    """
    for found in _kept_apart(items):
        if _are_labels(found, len(items)):
            return [None if label is None else int(label) for label in found]
    log.info("reading all %d items of %s once: their labels are kept nowhere else", len(items), what)
    return [_label_of(items, row, what) for row in tracked(range(len(items)), "reading labels", len(items))]


def names_of(items: Any, labels: Labels) -> dict[int, str]:
    """Return the name of each label there is, in the order of the labels; those that the dataset has names for more."""
    found = next((names for name in _NAMES if isinstance(names := getattr(items, name, None), (list, tuple))), ())
    highest = max((label for label in labels if label is not None), default=-1)
    if len(found) <= highest:
        return {label: str(label) for label in sorted({label for label in labels if label is not None})}
    names = [", ".join(name) if isinstance(name, tuple) else str(name) for name in found]  # ImageNet gives synonyms
    twice = {name for name, count in Counter(names).items() if count > 1}
    return {label: f"{name} ({label})" if name in twice else name for label, name in enumerate(names)}


def _kept_apart(items: Any) -> Iterator[Any]:
    yield from (getattr(items, name) for name in _LABELS if getattr(items, name, None) is not None)
    for name in _PAIRS:
        if getattr(items, name, None) is not None:
            yield [pair[1] for pair in getattr(items, name)]


def _are_labels(found: Any, count: int) -> bool:
    array = np.asarray(found)
    if array.shape != (count,):
        return False
    return array.dtype.kind in "iu" or all(label is None or isinstance(label, int) for label in array.tolist())


def _label_of(items: Any, row: int, what: str) -> int | None:
    try:
        picture, label = items[row]
        picture.close()  # some are opened and not yet read
    except Exception as error:  # another library's code reads another's files
        raise TlearnError(f"item {row} of {what}: {reason_of(error)}; mend or replace it") from error
    if label is None or (np.ndim(label) == 0 and isinstance(label, (int, np.integer))):
        return None if label is None else int(label)
    raise TlearnError(f"item {row} of {what}: expected one class, a whole number, got {str(label)[:40]}")
