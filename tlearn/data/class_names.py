"""Names of classes: spellings that count as one class, and classes with too few images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical, composed, looks
from tlearn.data.files.listing import listed, number_of

_EMPTY = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "nat"})  # as pandas, R, Excel and SQL write no value


@dataclass(frozen=True)
class ClassRemark:
    """A remark about the classes.

    Attributes:
        kind: A short name.
        severity: ``warning`` for classes that may be one by mistake, ``note`` for something that was done.
        what: The remark, a sentence.
    """

    kind: Literal["layout", "names_merged", "names_alike", "names_of_no_value", "rare_classes", "listed_classes"]
    severity: Literal["warning", "note"]
    what: str


class Spelling:
    """Names of classes. Spellings that count as one class are replaced by the first of them.

    Args:
        names: The names as they are written; of equal ones the first wins.
        stored: Names of a checkpoint, which win over `names`. Each stays a class, even if two count as one today:
            the checkpoint may have been trained before they did.
    """

    def __init__(self, names: Iterable[str], stored: Iterable[str] = ()) -> None:
        self._first: dict[str, str] = {}
        self._written: dict[str, str] = {}
        for name in stored:
            self._first.setdefault(canonical(name), name)
            self._written[name] = name
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Add names; those that are known already win."""
        for name in names:
            if name not in self._written:
                self._written[name] = self._first.setdefault(canonical(name), name)

    def of(self, name: str) -> str:
        """Return the first spelling of a name, or an unknown name itself."""
        return self._written.get(name) or self._first.get(canonical(name), name)

    @property
    def names(self) -> list[str]:
        """The first spelling of every name."""
        return list(dict.fromkeys(self._written.values()))

    def remarks(self, learned: Sequence[str]) -> list[ClassRemark]:
        """Return which spellings count as one, which look alike, and which of the names learned mean an empty cell."""
        return [*_merged(self._written, self.of), *_alike(self.names), *_of_no_value(self.names, learned)]


def alike_hint(names: Iterable[str], known: Sequence[str]) -> str:
    """Say which unknown names look like a known one, after a ``; ``; empty for none."""
    pairs = [f"{_shown(name)} and {_shown(other)}" for name in names for other in known if looks(name) == looks(other)]
    return f"; {listed(pairs)} differ in letter case or blanks alone" if pairs else ""


def _merged(written: Iterable[str], first: Callable[[str], str]) -> Iterator[ClassRemark]:
    groups = [group for group in _grouped(written, first) if len(group) > 1]
    if groups:
        told = [f"{_shown(group[0])} (also written {', '.join(map(_shown, group[1:]))})" for group in groups]
        yield ClassRemark(
            "names_merged", "note", f"names that a program has changed count as one class: {listed(told)}"
        )


def _alike(names: Iterable[str]) -> Iterator[ClassRemark]:
    groups = [group for group in _grouped(names, looks) if len(group) > 1]
    if groups:
        told = [" and ".join(map(_shown, group)) for group in groups]
        what = f"classes whose names differ in letter case, blanks or form alone are kept apart: {listed(told)}"
        yield ClassRemark("names_alike", "warning", f"{what}; if they are one, mend the labels")


def _of_no_value(names: Iterable[str], learned: Sequence[str]) -> Iterator[ClassRemark]:
    found = [name for name in names if name in learned and (name == "None" or name.strip().lower() in _EMPTY)]
    if found:
        about = f"a class is called {listed(map(_shown, found))}, as programs write an empty cell"
        what = f"{about}; if it is none, empty the cells, or name the other classes in data.init_args.classes"
        yield ClassRemark("names_of_no_value", "warning", what)


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return list(groups.values())


def _shown(name: str) -> str:
    """Quote a name, with escapes for characters that cannot be told apart by eye."""
    plain = " ".join(composed(name).split())
    return f"'{name}'" if plain == name else ascii(name)


DIVIDED_LEAST = 2  # one to train on, one to validate on


def frequent_classes(
    names: Sequence[str], counts: Mapping[str, int], min_per_class: int | None, needed: int = 2
) -> tuple[list[str], list[ClassRemark]]:
    """Leave out classes with too few training images, and say which.

    Args:
        names: The classes, in their order.
        counts: Training images of each class, before validation is split off.
        min_per_class: The fewest images of a class that is kept; ``None`` keeps all.
        needed: The smallest number of classes for the task.

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
    """Say which classes cannot be split into training and validation, and what to do; empty if all can."""
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
