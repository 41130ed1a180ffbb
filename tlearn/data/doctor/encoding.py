"""Test whether the encoding of files predicts their class: a network may then learn the camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.sample_types import type_tells_class

_FEWEST = 20  # pictures of a class; with fewer, chance makes patterns
_MOST = 20_000  # pictures that are used, drawn with a fixed seed
_FOLDS, _LEAVES, _LEAF = 5, 64, 5
_P_VALUE = 1e-6  # probability of as many right answers by naming the largest class
_LEAST_GAIN = 1 / 3  # of the mistakes of naming the largest class
_WORSE = 0.02  # accuracy by which a single property may be worse than all together and still be named

_ABOUT: dict[str, Callable[[Picture], tuple[Any, ...]]] = {
    "format": lambda p: (p.facts.format,),
    "colour mode": lambda p: (p.facts.mode,),
    "bits": lambda p: (p.facts.bits,),
    "colour space": lambda p: (p.facts.profile,),
    "JPEG quality": lambda p: (p.facts.jpeg_quality,),
    "size in pixels": lambda p: (p.facts.width, p.facts.height),
}


def encoding_tells(pictures: Sequence[Picture]) -> Iterator[Finding]:
    """Find out how well a decision tree predicts the class of training pictures from how their files are encoded.

    There is a finding only if every class has 20 pictures, the tree avoids a third of the mistakes of naming the
    largest class, and chance would do as well in one of a million sets. The predictions are cross-validated; copies
    count once. Fewer pictures suffice where each class has numbers of one type, and not all classes of the same.
    """
    train = list({p.facts.digest: p for p in pictures if p.split == "train"}.values())
    found = list(_by_tree(train))
    by_type = type_tells_class([p.facts.sample_type for p in train], [p.label for p in train])
    if by_type and not found:
        found = [Finding("encoding_tells_class", "warning", by_type)]
    yield from found


def _by_tree(train: Sequence[Picture]) -> Iterator[Finding]:
    labels, counts = np.array([p.label for p in train]), Counter(p.label for p in train)
    if len(counts) < 2 or min(counts.values()) < _FEWEST:
        return
    if len(train) > _MOST:
        chosen = np.random.default_rng(0).choice(len(train), _MOST, replace=False)
        train, labels = [train[n] for n in chosen], labels[chosen]
    columns = {name: _numbers([about(p) for p in train]) for name, about in _ABOUT.items()}
    columns = {name: values for name, values in columns.items() if (values != values[0]).any()}
    if not columns:
        return
    rights = {name: _right(values, labels) for name, values in columns.items()}
    together = _right(np.concatenate(list(columns.values()), axis=1), labels)
    base = max(Counter(labels.tolist()).values()) / len(labels)
    best = max(together, *rights.values())
    named = next((name for name, right in rights.items() if right >= best - _WORSE * len(labels)), "all of it together")
    if _is_chance(best, len(labels), base):
        return
    right = rights.get(named, together)
    what = (
        f"{named} of the files alone tells {100 * right / len(labels):.1f} % of the training pictures' classes (the "
        f"largest class: {100 * base:.1f} %): the network may learn the camera, not the class; save all classes alike"
    )
    yield Finding("encoding_tells_class", "warning", what)


def _is_chance(right: int, images: int, base: float) -> bool:
    from scipy.stats import binom  # imported here: it takes a second, and most runs do not need it

    return right / images - base < _LEAST_GAIN * (1 - base) or float(binom.sf(right - 1, images, base)) > _P_VALUE


def _numbers(values: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
    """Turn properties into columns of numbers; texts are numbered in their order."""
    columns = list(zip(*values, strict=True))
    return np.stack(
        [np.unique(np.array(c), return_inverse=True)[1] if isinstance(c[0], str) else c for c in columns], 1
    )


def _right(values: NDArray[np.float64], labels: NDArray[np.str_]) -> int:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=_LEAF, random_state=0)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    answers: NDArray[np.str_] = cross_val_predict(tree, values, labels, cv=folds)
    return int((answers == labels).sum())
