"""Names of classes as people, file systems and spreadsheets write them: which are one, and which look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tlearn.base.name_forms import canonical, composed, looks
from tlearn.data.files.listing import listed

_EMPTY = frozenset({"nan", "na", "n/a", "#n/a", "<na>", "null", "nat"})  # as pandas, R, Excel and SQL write no value


@dataclass(frozen=True)
class ClassRemark:
    """What is to be known of the classes.

    Attributes:
        kind: A short name.
        severity: A ``warning`` may be two classes for one, a ``note`` says what was done.
        what: In a sentence.
    """

    kind: Literal["names_merged", "names_alike", "names_of_no_value", "rare_classes"]
    severity: Literal["warning", "note"]
    what: str


class Spelling:
    """The names of classes, each as it was written first, and found in any of the forms that count as one.

    Args:
        names: As they were written, in the order in which the first one wins.
        stored: Those of a checkpoint, which win over them. Each stays a class, also where two would count as one today:
            the checkpoint was trained before they did.
    """

    def __init__(self, names: Iterable[str], stored: Iterable[str] = ()) -> None:
        self._first: dict[str, str] = {}
        self._written: dict[str, str] = {}
        for name in stored:
            self._first.setdefault(canonical(name), name)
            self._written[name] = name
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Take more names, which win over none that are known."""
        for name in names:
            if name not in self._written:
                self._written[name] = self._first.setdefault(canonical(name), name)

    def of(self, name: str) -> str:
        """Return a name as it was written first; one that is not known, as it is."""
        return self._written.get(name) or self._first.get(canonical(name), name)

    @property
    def names(self) -> list[str]:
        """All names, as each was written first."""
        return list(dict.fromkeys(self._written.values()))

    def remarks(self, learned: Sequence[str]) -> list[ClassRemark]:
        """Say which spellings count as one name, which look alike, and which of those learned stand for no value."""
        return [*_merged(self._written, self.of), *_alike(self.names), *_of_no_value(self.names, learned)]


def alike_hint(names: Iterable[str], known: Sequence[str]) -> str:
    """Say which of some unknown names look like a known one, with ``; `` before; empty for none."""
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
    """Put a name in quotes, with escapes where the eye would not see what it differs in."""
    plain = " ".join(composed(name).split())
    return f"'{name}'" if plain == name else ascii(name)
