"""Classes of which there are few images: leave them out, or say of all at once that they cannot be divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tlearn.base.errors import TlearnError
from tlearn.data.classes.spelling import ClassRemark
from tlearn.data.files.listing import listed, number_of

DIVIDED_LEAST = 2  # one to train on, one to validate on


def frequent_classes(
    names: Sequence[str], counts: Mapping[str, int], min_per_class: int | None, needed: int = 2
) -> tuple[list[str], list[ClassRemark]]:
    """Leave out classes of which there are too few images to train on, and say which.

    Args:
        names: The classes, in their order.
        counts: Images to train on, before any are held back to validate on, of each that has some.
        min_per_class: The fewest that keep a class; ``None`` keeps all.
        needed: How many classes a task takes.

    Raises:
        TlearnError: Fewer classes than needed are left.
    """
    rare = [name for name in names if min_per_class is not None and counts.get(name, 0) < min_per_class]
    if not rare:
        return list(names), []
    kept = [name for name in names if name not in set(rare)]
    if len(kept) < needed:
        raise TlearnError(
            f"data.init_args.min_per_class {min_per_class} leaves {len(kept)} of {_classes(len(names))} "
            f"({_with_counts(names, counts)}), need at least {needed}; lower it"
        )
    told = f"fewer than {min_per_class} images to train on: {_with_counts(rare, counts)}"
    return kept, [ClassRemark("rare_classes", "note", f"left out {_classes(len(rare))} with {told}")]


def too_few_to_divide(counts: Mapping[str, int]) -> str:
    """Say which classes cannot be divided into training and validation, and what helps; empty if all can."""
    few = [name for name, count in counts.items() if count < DIVIDED_LEAST]
    if not few:
        return ""
    return (
        f"{_classes(len(few))} with fewer than {DIVIDED_LEAST} images, one to train on and one to validate on: "
        f"{_with_counts(few, counts)}; add images, leave such classes out (data.init_args.min_per_class "
        f"{DIVIDED_LEAST}), or validate on none (data.init_args.val_fraction 0)"
    )


def _classes(count: int) -> str:
    return number_of(count, "class", "classes")


def _with_counts(names: Sequence[str], counts: Mapping[str, int]) -> str:
    return listed((f"{name} {counts.get(name, 0)}" for name in names), most=30)
