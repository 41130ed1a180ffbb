"""The decisions on a pool of pictures, as the list of labels has them, whoever wrote it. N pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.analysis.doubt.answers import UNKNOWN
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical, path_form, same_name
from tlearn.data.labels.class_text import checked_class
from tlearn.data.labels.label_list import Decision, Kind, LabelList
from tlearn.pages.review.json_types import Counts, GivenDecision

_KINDS: dict[str, Kind] = {"keep": "keep", "change": "change", "exclude": "exclude", "unsure": "unsure"}
_COUNTED = {"keep": "kept", "change": "changed", "label": "changed", "exclude": "excluded", "unsure": "unsure"}


class Step(NamedTuple):
    """A decision that was made here, and the one that it replaced."""

    before: Decision | None
    made: Decision | None


class Decided:
    """The list of labels, seen from a pool; not safe for several threads by itself.

    Attributes:
        class_names: Those of the pool, and behind them those that decisions have made.
        given: N labels by folder or table, empty for a picture that has none.
        by_row: The decisions that count, by the row of the picture.
    """

    def __init__(self, pool: LabelledPool, given: Sequence[str] | None = None) -> None:
        """Read the list.

        Args:
            pool: The pictures.
            given: N labels by folder or table, empty for a picture that has none; the pool's own by default.

        Raises:
            TlearnError: The list is damaged.
        """
        self._pool = pool
        self._list = LabelList(pool.root)
        self.class_names = list(pool.class_names)
        self.given = list(given) if given is not None else [pool.class_names[n] for n in pool.labels.tolist()]
        self._undo = list[dict[int, Step]]()
        self._by_list = {row for row, label in enumerate(self.given) if not label}
        self._row_of = {path_form(name): row for row, name in enumerate(pool.names)}
        self._stamp: tuple[int, int, int] | None = None
        self._first: dict[int, Decision] = {}  # rows that gave the labels, or are out of date: undo puts them back
        self.by_row: dict[int, Decision] = {}
        self.follow()

    @property
    def path(self) -> str:
        """Return where the list lies."""
        return str(self._list.path)

    def follow(self) -> bool:
        """Read the list again if anybody has written it; tell whether that was so.

        A row counts while the label by folder or table is still the one that it was decided on.

        Raises:
            TlearnError: The list is damaged.
        """
        stamp = self._list.stamp()
        if stamp == self._stamp:
            return False
        known = ((self._row_of.get(path_form(path)), each) for path, each in self._list.read().items())
        rows = {row: each for row, each in known if row is not None}
        if self._stamp is None:
            self._take_first(rows)
        counting = {row: each for row, each in rows.items() if same_name(each.old, self.given[row])}
        changed, self.by_row, self._stamp = counting != self.by_row, counting, stamp
        forms = set(map(canonical, self.class_names))
        made = {canonical(each.label): each.label for each in counting.values() if each.label}
        self.class_names += [name for form, name in made.items() if form not in forms]
        return changed

    def _take_first(self, rows: Mapping[int, Decision]) -> None:
        """Take what ``label`` has written for the label that a folder gives elsewhere: a review decides on that."""
        for row, each in rows.items():
            if not self.given[row]:
                self.given[row] = each.label if each.decision == "label" else each.old
        self._first = {row: each for row, each in rows.items() if not same_name(each.old, self.given[row])}

    def labels(self) -> Tensor:
        """Return the labels that hold now, int64 (N,); `UNKNOWN` for pictures that are left out or have none."""
        labels = self.numbers_of(self.given)
        rows = list(self.by_row)
        for row, number in zip(rows, self.numbers_of([self.by_row[row].label for row in rows]), strict=True):
            if self.by_row[row].decision != "unsure":  # changes nothing
                labels[row] = number
        return torch.tensor(labels, dtype=torch.int64)

    def numbers_of(self, names: Sequence[str]) -> list[int]:
        """Return the numbers of classes, `UNKNOWN` for what is none."""
        numbers = {canonical(name): number for number, name in enumerate(self.class_names)}
        found = {name: numbers.get(canonical(name), UNKNOWN) for name in set(names)}
        return [found[name] for name in names]

    def label_of(self, row: int) -> str:
        """Return the label that holds now, of a picture that is left out the one that it had; empty without one."""
        decided = self.by_row.get(row)
        return self.given[row] if decided is None or not decided.label else decided.label

    def rows(self) -> Tensor:
        """Tell which pictures are decided, bool (N,)."""
        settled = torch.zeros(len(self._pool), dtype=torch.bool)
        settled[list(self.by_row)] = True
        return settled

    def counts(self) -> Counts:
        """Count the decisions."""
        found = Counter(_COUNTED[each.decision] for each in self.by_row.values())
        return Counts(
            pictures=len(self._pool),
            decided=len(self.by_row),
            changed=found["changed"],
            excluded=found["excluded"],
            unsure=found["unsure"],
            kept=found["kept"],
        )

    def decide(self, given: Sequence[GivenDecision], doubts: Sequence[str]) -> None:
        """Write decisions.

        Args:
            given: M decisions.
            doubts: M texts, why each picture was looked at.

        Raises:
            TlearnError: There is no such picture, decision or class; nothing is written then.
        """
        typed = {each.get("label") or "" for each in given if each["decision"] == "change"}
        names = {name: checked_class(name, self.class_names) for name in typed if name.strip()}
        new = {each["id"]: self._decision(each, doubt, names) for each, doubt in zip(given, doubts, strict=True)}
        self.follow()
        before = {row: self.by_row.get(row) for row in new}
        self._list.decide(list(new.values()))
        self.follow()
        self._undo.append({row: Step(each, self.by_row.get(row)) for row, each in before.items()})

    def undo(self, rows: Sequence[int] | None = None) -> list[int]:
        """Take decisions back: those on these pictures, or the last that was made here, else the list's last.

        What somebody has decided anew since, or taken back, is no decision from here any more.

        Returns:
            The pictures.

        Raises:
            TlearnError: There is no such picture.
        """
        self.follow()
        if rows is not None:
            before: dict[int, Decision | None] = dict.fromkeys(self._checked_row(row) for row in rows)
        else:
            before = self._last_made() or dict.fromkeys(list(self.by_row)[-1:])
        before = {row: each or self._label_before(row) for row, each in before.items()}
        restored = [each for each in before.values() if each is not None]
        if restored:
            self._list.decide(restored)
        if removed := [self._pool.names[row] for row, each in before.items() if each is None]:
            self._list.undo(removed)
        self.follow()
        return list(before)

    def _last_made(self) -> dict[int, Decision | None]:
        """Return what the last decisions from here that still stand have replaced; of others there is nothing left."""
        while self._undo:
            standing = {row: step.before for row, step in self._undo[-1].items() if self.by_row.get(row) == step.made}
            if standing:
                return standing
            self._undo.pop()
        return {}

    def _label_before(self, row: int) -> Decision | None:
        """Return the row of the list that gave a picture its label, where no folder or table does."""
        if row in self._first or row not in self._by_list or not self.given[row]:
            return self._first.get(row)
        return Decision(self._pool.names[row], "", self.given[row], "label")

    def _decision(self, given: GivenDecision, doubt: str, names: Mapping[str, str]) -> Decision:
        row = self._checked_row(given["id"])
        name, old, kind = self._pool.names[row], self.given[row], _KINDS.get(given["decision"])
        if kind is None:
            raise TlearnError(f"expected {', '.join(_KINDS)}, got '{given['decision']}'; decide again")
        label = names.get(given.get("label") or "", "")
        if kind == "keep":
            label = old or self.label_of(row)
        elif kind == "change" and not label:
            raise TlearnError(f"{name}: expected the name of the class that it is changed to; choose one")
        if kind == "change" and label == old:
            kind = "keep"
        if not old and kind in ("keep", "change"):
            kind = "label"
        return Decision(name, old, label if kind in ("keep", "change", "label") else "", kind, "", doubt)

    def _checked_row(self, row: int) -> int:
        if not 0 <= row < len(self._pool):
            raise TlearnError(f"expected the number of a picture from 0 to {len(self._pool) - 1}, got {row}")
        return row
