"""Say how groups were divided, and name those that are on two sides. Letters: G groups."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tlearn.data.files.listing import listed, number_of
from tlearn.data.images.grouped_split import name_of_group
from tlearn.data.images.image_set import ImageSet

log = logging.getLogger(__name__)

_MOST = 6  # groups that are named
_SPARE = 0.1  # by how much twice the share that was asked for may be missed before it is said


def names_of_groups(images: ImageSet, names: Sequence[str]) -> list[str]:
    """Return the names of the groups that a set has images of, in the order of their numbers.

    Args:
        images: The set, whose source has groups.
        names: G names, by the numbers of the groups.
    """
    assert images.groups is not None
    return [name_of_group(code, names) for code in images.groups[images.indices].unique().tolist()]


def groups_by_split(sets: Mapping[str, ImageSet], names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the groups of training and of validation, for ``split.json``; nothing without groups."""
    return {
        f"{split}_groups": names_of_groups(sets[split], names)
        for split in ("train", "val")
        if sets[split].groups is not None
    }


def tell_what_is_held_back(
    train: ImageSet, val: ImageSet, before: int, fraction: float, by_class: bool, names: Sequence[str]
) -> None:
    """Say what was split off to validate, and warn where whole groups miss the share by far.

    Args:
        train: What is left to train on.
        val: What validates.
        before: How many images there were.
        fraction: The share that was asked for.
        by_class: It is that of each class.
        names: Those of the groups.
    """
    share = f"{100 * fraction:g} %{' of each class' * by_class}"
    if val.groups is not None:
        held = names_of_groups(val, names)
        share = f"{number_of(len(held), 'group')}, whole ones ({listed(held, most=_MOST)})"
    log.info("val: %d of these %d images, %s, are held back to validate in every run", len(val), before, share)
    if val.groups is not None and len(val) > (2 * fraction + _SPARE) * before:
        count = len({*names_of_groups(train, names), *names_of_groups(val, names)})
        log.warning(
            "val: the groups that validate have %.0f %% of the images, data.init_args.val_fraction asks for %g %%: the "
            "%d groups are few or uneven; another data.init_args.split_seed draws others, data.init_args.folds "
            "validates on each once",
            *(100 * len(val) / before, 100 * fraction, count),
        )


def warn_of_both_sides(train: ImageSet, val: ImageSet, names: Sequence[str]) -> None:
    """Warn of groups that are in training and in a validation set of one's own; see `warn_of_shared`."""
    if train.groups is not None and val.groups is not None:
        warn_of_shared("val", *(names_of_groups(each, names) for each in (val, train)))


def warn_of_shared(split: str, groups: Iterable[str], trained: Iterable[str]) -> None:
    """Warn of groups that are evaluated and were trained on.

    Args:
        split: What they are evaluated in.
        groups: The names of its groups.
        trained: The names of the groups that train.
    """
    known = set(trained)
    both = [name for name in dict.fromkeys(groups) if name in known]
    if both:
        log.warning(
            "%s of train and of %s (%s): the network has learned from other pictures of the same groups, so what is "
            "measured there says little of a new group",
            *(number_of(len(both), "group is one", "groups are those"), split, listed(both, most=_MOST)),
        )


def coded(groups: Sequence[str | None], names: list[str]) -> list[int]:
    """Return the number of each group, and add names that are new; -1 for a picture without a group.

    Args:
        groups: Names of groups, one for each picture.
        names: Those that have numbers already; new ones are added, sorted.
    """
    names += sorted({name for name in groups if name is not None}.difference(names))
    numbers: dict[Any, int] = {name: number for number, name in enumerate(names)}
    return [numbers.get(name, -1) for name in groups]
