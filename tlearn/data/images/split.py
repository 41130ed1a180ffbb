"""Choose the images to train on and those to validate on. Letters: N images, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.name_forms import same_name
from tlearn.base.plain_values import texts
from tlearn.data.class_names import too_few_to_divide
from tlearn.data.files.listing import listed, number_of
from tlearn.data.images.grouped_split import grouped_split
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.keyed_random import uniform

Positions = NDArray[np.int64]

# 18 draws the test share, 19 folds, 20 groups; the augmentation draws from the streams below them.
_TAKE_STREAM, _SPLIT_STREAM = 16, 17


def train_and_val(
    train: ImageSet,
    val: ImageSet | None,
    val_fraction: float,
    train_per_class: int | None,
    seed: int,
    class_names: Sequence[str] | None,
    group_names: Sequence[str] = (),
) -> tuple[ImageSet, ImageSet]:
    """Return the images to train on and those to validate on.

    Args:
        train: The training source.
        val: The validation source; ``None`` splits validation off the training source.
        val_fraction: Share to split off; 0 for none.
        train_per_class: See `take_per_class`; ``None`` trains on all.
        seed: See `stratified_split`.
        class_names: Likewise; ``None`` where an image has not one class.
        group_names: Names of the groups of the training source, by their numbers, if it has any.

    Raises:
        TlearnError: A class has too few images, or groups are too few.
    """
    if val is None and val_fraction == 0:
        val = train.part(train.indices[:0])
    elif val is None:
        labels = train.targets[train.indices].numpy()
        if train.groups is None:
            kept, held_back = stratified_split(labels, val_fraction, seed, class_names, train.draw_keys())
        else:
            groups = train.groups[train.indices].numpy()
            kept, held_back = grouped_split(labels, groups, group_names, val_fraction, seed, class_names)
        train, val = train.part(train.indices[kept]), train.part(train.indices[held_back])
    if train_per_class is not None:
        rows = take_per_class(train.targets.numpy(), train.indices.numpy(), train_per_class, seed, class_names or [])
        train = train.part(torch.from_numpy(rows))
    return train, val


def stratified_split(
    labels: NDArray[Any],
    val_fraction: float,
    seed: int,
    class_names: Sequence[str] | None,
    keys: Tensor | None = None,
) -> tuple[Positions, Positions]:
    """Divide images into training and validation, each class in the same proportion on both sides.

    scikit-learn's own split would take 0.4 s to import at every start, and may leave a rare class out of one side.

    Args:
        labels: (N,) class numbers; only their number is used when ``class_names`` is None.
        val_fraction: Share of each class to validate on; every class has at least one image on both sides.
        seed: Seed of the draw, apart from the run's: runs with different seeds validate on the same images.
        class_names: Names of the classes 0 to K - 1; None for a plain split, since values to regress have no classes.
        keys: int64 (N,), the key of each image's draw. A key made from its name keeps it on its side when other images
            come and go. Its position by default.

    Returns:
        Sorted positions of the training and of the validation images; together they are all N.

    Raises:
        TlearnError: Classes have fewer than 2 images; all are named.
    """
    strata = np.zeros(len(labels), dtype=np.int64) if class_names is None else labels
    names = ["images"] if class_names is None else list(class_names)
    counts = np.bincount(strata, minlength=len(names))
    told = too_few_to_divide(dict(zip(names, counts.tolist(), strict=True)))
    if told:
        raise TlearnError(told if class_names is not None else f"{len(labels)} images cannot be divided; add some")
    draws = uniform(seed, 0, torch.arange(len(labels)) if keys is None else keys, _SPLIT_STREAM)
    queue = np.argsort(draws.numpy(), kind="stable")
    val = []
    for number in range(len(names)):
        members = queue[strata[queue] == number]
        val.append(members[: min(max(round(val_fraction * len(members)), 1), len(members) - 1)])
    chosen = np.sort(np.concatenate(val))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def take_per_class(
    labels: NDArray[Any], indices: Positions, per_class: int, seed: int, class_names: Sequence[str]
) -> Positions:
    """Keep a few images of each class, to study how much data a task needs.

    Args:
        labels: (N,) class numbers.
        indices: The positions in ``labels`` to choose from.
        per_class: How many to keep of each class.
        seed: Decides which. The choice is nested: the 10 images that are kept of a class are among the 20.
        class_names: Names of the classes 0 to K - 1.

    Returns:
        Sorted positions.

    Raises:
        TlearnError: Classes have fewer images than that; all are named.
    """
    draws = uniform(seed, 0, torch.from_numpy(indices), _TAKE_STREAM).numpy()
    queue = indices[np.argsort(draws, kind="stable")]
    kept = [queue[labels[queue] == number][:per_class] for number in range(len(class_names))]
    few = [
        f"{name} {len(positions)}"
        for name, positions in zip(class_names, kept, strict=True)
        if len(positions) < per_class
    ]
    if few:
        raise TlearnError(
            f"{number_of(len(few), 'class', 'classes')} with fewer training images than train_per_class {per_class}: "
            f"{listed(few)}; lower data.init_args.train_per_class, add images, or leave such classes out: "
            "data.init_args.min_per_class"
        )
    return np.sort(np.concatenate(kept))


def class_numbers(selection: Sequence[str] | None, class_names: Sequence[str], least: int = 2) -> list[int]:
    """Look up a selection of classes, in the order given; all of them if there is none.

    Args:
        selection: Names; ``None`` for all.
        class_names: The names to choose from.
        least: The smallest number of classes; ``multilabel`` may have a single one.

    Raises:
        TlearnError: A name is unknown or given twice, is no text, or too few are given.
    """
    names = list(class_names) if selection is None else texts("classes", selection)
    for number, name in enumerate(names):
        found = name if name in class_names else next((each for each in class_names if same_name(each, name)), None)
        if found is None:
            raise unknown("class", name, class_names)
        names[number] = found
    if len(set(names)) < max(least, len(names)):
        raise TlearnError(f"expected {least} or more different classes, got {names}; change data.init_args.classes")
    return [class_names.index(name) for name in names]


def renumbered(labels: Tensor, numbers: Sequence[int]) -> Tensor:
    """Replace each class number (N,) by its place in ``numbers``, or by -1 if it is not there."""
    places = torch.full((max(int(labels.max()), *numbers) + 1,), -1)
    places[list(numbers)] = torch.arange(len(numbers))
    return places[labels]
