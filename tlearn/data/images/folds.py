"""Deal images out to folds, for cross-validation. Letters: N images, G groups, F folds, K classes.

Each fold validates once, on images that its run has not trained on. Whole groups stay together, and each fold has its
share of every class as far as the groups allow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.listing import listed, number_of
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.keyed_random import uniform

log = logging.getLogger(__name__)

FEWEST_FOLDS = 2
_FOLD_STREAM = 19  # see the streams of `tlearn.data.images.split`

Numbers = NDArray[np.int64]


def fold_numbers(labels: Tensor, groups: Tensor | None, folds: int, seed: int, keys: Tensor | None = None) -> Tensor:
    """Deal images out to folds.

    The draw depends on the seed and on the keys, not on the order of the images. Without groups each class fills the
    folds in the order of its draws, so images that come later move only few others. With groups the method is that of
    scikit-learn's ``StratifiedGroupKFold``: the most uneven groups first, each to the fold where the shares of the
    classes stay most alike; new images may then move groups.

    Args:
        labels: int64 (N,), class numbers; all alike where there are no classes, such as for a regression.
        groups: int64 (N,), which images are never divided; ``None`` divides any.
        folds: F, from 2 to the number of groups, or of images.
        seed: Seed of the draw, apart from the run's.
        keys: int64 (N,), the key of each image's draw, made of its name; its position by default.

    Returns:
        int64 (N,), the fold of each image, from 0 to F - 1. Without groups two folds differ by at most one image, in
        all and in each class.

    Raises:
        TlearnError: There are fewer groups, or images, than folds.
    """
    draws = uniform(seed, 0, torch.arange(len(labels)) if keys is None else keys, _FOLD_STREAM).numpy()
    classes = np.unique(labels.numpy(), return_inverse=True)[1].astype(np.int64)
    if groups is None:
        _refuse_fewer(len(labels), "image", folds)
        return torch.from_numpy(_of_images(classes, draws, folds))
    codes = np.unique(groups.numpy(), return_inverse=True)[1].astype(np.int64)
    count = int(codes.max(initial=-1)) + 1
    _refuse_fewer(count, "group", folds)
    of_groups = np.zeros((count, int(classes.max()) + 1), dtype=np.float64)
    np.add.at(of_groups, (codes, classes), 1)
    first = np.full(count, np.inf)
    np.minimum.at(first, codes, draws)
    return torch.from_numpy(_of_groups(of_groups, first, folds)[codes])


def _refuse_fewer(count: int, what: str, folds: int) -> None:
    if count < folds:
        raise TlearnError(
            f"{number_of(count, what)} cannot fill {folds} folds, each needs one at the least; ask for fewer folds"
            f"{' or add images' if what == 'image' else ''}"
        )


def _of_images(classes: Numbers, draws: NDArray[Any], folds: int) -> Numbers:
    """Give each class to the folds in even parts; what is left over goes on where the class before ended."""
    found, start = np.zeros(len(classes), dtype=np.int64), 0
    queue = np.argsort(draws, kind="stable")
    for number in range(int(classes.max()) + 1):
        members = queue[classes[queue] == number]
        each, more = divmod(len(members), folds)
        sizes = [each + ((fold - start) % folds < more) for fold in range(folds)]
        found[members] = np.repeat(np.arange(folds), sizes)
        start = (start + more) % folds
    return found


def _of_groups(counts: NDArray[np.float64], draws: NDArray[Any], folds: int) -> Numbers:
    """Give whole groups, of which counts (G, K) tells the images of each class, to folds (G,)."""
    share = counts / np.maximum(counts.sum(axis=0), 1)
    uneven = counts.std(axis=1) if counts.shape[1] > 1 else counts[:, 0]
    filled, images = np.zeros((folds, counts.shape[1])), np.zeros(folds)
    found = np.zeros(len(counts), dtype=np.int64)
    for group in np.lexsort((draws, -uneven)):
        filled_then = filled + share[group]
        total, squares = filled_then[0] + filled[1:].sum(axis=0), (filled**2).sum(axis=0) - filled**2 + filled_then**2
        spread = np.sqrt(np.maximum(squares / folds - (total / folds) ** 2, 0)).mean(axis=1)
        # Where several folds suit it as well, the one with the fewest images.
        alike = np.flatnonzero(np.isclose(spread, spread.min()))
        chosen = alike[images[alike].argmin()]
        found[group] = chosen
        filled[chosen] += share[group]
        images[chosen] += counts[group].sum()
    return found


def one_fold(
    train: ImageSet,
    folds: int,
    fold: int,
    seed: int,
    class_names: Sequence[str] | None,
    group_names: Sequence[str] = (),
) -> tuple[ImageSet, ImageSet]:
    """Divide a source into the images that one fold trains on, and those that it validates on.

    Args:
        train: The training source.
        folds: F.
        fold: Which one validates, counted from 1.
        seed: See `fold_numbers`.
        class_names: Names of the classes 0 to K - 1; ``None`` where an image has not one class.
        group_names: Names of the groups, for messages.

    Raises:
        TlearnError: There are fewer groups or images than folds, or a fold's training images would lack a class.
    """
    labels = train.targets[train.indices] if class_names is not None else torch.zeros(len(train), dtype=torch.int64)
    groups = None if train.groups is None else train.groups[train.indices]
    if class_names is not None:
        _check_classes(labels.numpy(), None if groups is None else groups.numpy(), folds, class_names, group_names)
    numbers = fold_numbers(labels, groups, folds, seed, train.draw_keys())
    if class_names is not None:
        _check_training(labels, numbers, class_names)
    validates = numbers == fold - 1
    of_groups = "" if groups is None else f", {len(groups[validates].unique())} of {len(groups.unique())} groups"
    told = (fold, folds, int(validates.sum()), len(train), of_groups)
    log.info("val: fold %d of %d, %d of the %d training images%s", *told)
    return train.part(train.indices[~validates]), train.part(train.indices[validates])


def _check_training(labels: Tensor, numbers: Tensor, class_names: Sequence[str]) -> None:
    """Refuse folds of which one has all images of a class: where groups have several classes, that may be so."""
    for number, name in enumerate(class_names):
        found = numbers[labels == number].unique()
        if len(found) == 1:
            raise TlearnError(
                f"all groups of {name} fall into fold {int(found) + 1}, whose run would train without it; ask for "
                f"another number of folds, add groups of {name}, or leave it out (data.init_args.classes)"
            )


def _check_classes(
    labels: NDArray[Any],
    groups: NDArray[Any] | None,
    folds: int,
    class_names: Sequence[str],
    group_names: Sequence[str],
) -> None:
    """Refuse classes that cannot be divided, and warn of those that not every fold can validate."""
    unit = "images" if groups is None else "groups"
    few = []
    for number, name in enumerate(class_names):
        rows = np.flatnonzero(labels == number)
        if not len(rows):
            continue  # other code says so
        found = rows if groups is None else np.unique(groups[rows])
        if len(found) == 1:
            where = f" ({group_names[int(found[0])]})" if groups is not None and len(group_names) else ""
            raise TlearnError(
                f"{name} has one {unit[:-1]}{where}: the fold that validates it would train without it; add "
                f"{unit} of {name}, or leave it out (data.init_args.classes)"
            )
        if len(found) < folds:
            few.append(f"{name} {len(found)}")
    if few:
        log.warning(
            "%s with fewer %s than %d folds: %s; some folds do not validate them",
            *(number_of(len(few), "class", "classes"), unit, folds, listed(few)),
        )
