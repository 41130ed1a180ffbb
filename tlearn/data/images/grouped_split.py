"""Divide images into training and validation by whole groups. Letters: N images, G groups, K classes.

Which groups validate depends on the seed, on the names of the groups and on which classes each of them has, and not on
how many images: so images that come later to a group move no group.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.base.errors import TlearnError
from tlearn.data.files.listing import listed, number_of
from tlearn.data.images.keyed_random import keys_of_names, uniform

_STREAM = 20  # 16 to 19 choose the images to train on, to validate on and to test on, and deal out folds
_OPTION = "data.init_args.group"

Positions = NDArray[np.int64]

log = logging.getLogger(__name__)


def presence(labels: NDArray[Any], groups: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Tell which classes each group has: bool (G, K), of class numbers (N,) and groups (N,) from 0 to G - 1.

    Args:
        labels: The class numbers.
        groups: The groups.
        count: K.
    """
    found = np.zeros((int(groups.max(initial=-1)) + 1, count), dtype=np.bool_)
    found[groups, labels] = True
    return found


def chosen_groups(has: NDArray[np.bool_], draws: NDArray[Any], fraction: float) -> NDArray[np.bool_]:
    """Choose the groups to validate on, so that each class has its share of them as far as groups allow.

    The rarest classes choose first, as in iterative stratification (Sechidis, Tsoumakas, Vlahavas, "On the
    stratification of multi-label data", ECML PKDD 2011): each takes groups until its share is reached, first those that
    bring the fewest classes which have theirs already, then those of the lowest draws. A class is never taken out of
    training, so one that lives in a single group is not validated.

    Args:
        has: bool (G, K), which classes each group has.
        draws: (G,), a number for each group.
        fraction: The share of the groups of each class.

    Returns:
        bool (G,).
    """
    total = has.sum(axis=0)
    wanted = np.clip(np.floor(fraction * total + 0.5), np.minimum(1, total - 1), np.maximum(total - 1, 0))
    chosen, left = np.zeros(len(has), dtype=np.bool_), total.copy()
    order = np.argsort(draws, kind="stable")
    for number in np.argsort(total, kind="stable"):
        while (got := has[chosen].sum(axis=0))[number] < wanted[number]:
            can = [g for g in order if has[g, number] and not chosen[g] and bool((left[has[g]] > 1).all())]
            if not can:
                break
            best = min(can, key=lambda group: int((got >= wanted)[has[group]].sum()))
            chosen[best] = True
            left -= has[best]
    return chosen


def grouped_split(
    labels: NDArray[Any],
    groups: NDArray[Any],
    group_names: Sequence[str],
    val_fraction: float,
    seed: int,
    class_names: Sequence[str] | None,
) -> tuple[Positions, Positions]:
    """Divide images into training and validation, whole groups on one side.

    Args:
        labels: (N,) class numbers; unused when ``class_names`` is None.
        groups: (N,) positions in ``group_names``.
        group_names: Names of the groups; a group's draw depends on its name.
        val_fraction: Share of the groups of each class to validate on; at least one where a class has two.
        seed: Seed of the draw, apart from the run's.
        class_names: Names of the classes 0 to K - 1; None where an image has not one class.

    Returns:
        Sorted positions of the training and of the validation images; together they are all N.

    Raises:
        TlearnError: There is one group, or every group holds a class that no other has.
    """
    codes, compact = np.unique(groups, return_inverse=True)
    names = [name_of_group(code, group_names) for code in codes.tolist()]
    if len(names) < 2:
        raise TlearnError(
            f"{_OPTION}: all {number_of(len(labels), 'image')} are of one group ({listed(names)}), which is never "
            "divided; mend the option, add groups, or validate on none (data.init_args.val_fraction 0)"
        )
    strata = np.zeros(len(labels), dtype=np.int64) if class_names is None else labels
    has = presence(strata, compact, 1 if class_names is None else len(class_names))
    chosen = chosen_groups(has, draws_of_groups(names, seed), val_fraction)
    if not chosen.any():
        raise TlearnError(
            f"{_OPTION}: none of {number_of(len(names), 'group')} ({listed(names)}) can validate, as each has a class "
            "that no other has; add groups, or validate on none (data.init_args.val_fraction 0)"
        )
    lone = [] if class_names is None else classes_of_one_group(has, class_names, names)
    if lone:
        log.warning(
            "%s of a single group %s in training, nothing validates %s: %s",
            *(number_of(len(lone), "class", "classes"), *(("stays", "it") if len(lone) == 1 else ("stay", "them"))),
            listed(lone),
        )
    validates = chosen[compact]
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def name_of_group(number: int, names: Sequence[str]) -> str:
    """Return the name of a group, or its number in a source that names no groups."""
    return names[number] if number < len(names) else str(number)


def draws_of_groups(names: Sequence[str], seed: int) -> NDArray[np.float32]:
    """Draw a number for each group by its name alone; float32 (G,)."""
    draws: NDArray[np.float32] = uniform(seed, 0, keys_of_names(map(os.fsencode, names)), _STREAM).numpy()
    return draws


def classes_of_one_group(has: NDArray[np.bool_], class_names: Sequence[str], group_names: Sequence[str]) -> list[str]:
    """Name the classes that one group alone has, by bool (G, K), and that group: ``owl (site 3)``."""
    found = np.flatnonzero(has.sum(axis=0) == 1).tolist()
    return [f"{class_names[number]} ({group_names[int(has[:, number].argmax())]})" for number in found]
