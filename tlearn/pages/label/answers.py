"""What was answered: the rows of the list of labels that are of pictures asked for, and the classes. N pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from tlearn.analysis.query.choose import LEFT_OUT
from tlearn.base.errors import TlearnError
from tlearn.data.labels.class_text import checked_class
from tlearn.data.labels.label_list import Decision, Kind, LabelList
from tlearn.pages.label.asked import AskedPictures

_KINDS: dict[str, Kind] = {"label": "label", "exclude": "exclude", "unsure": "unsure"}


class Answers:
    """The decisions on the pictures of a folder, as its list has them; another process may write it too.

    Attributes:
        class_names: Those that pictures have, that were named, and that were made.
        rows: Number of a picture -> the decision on it, in the order of the decisions.
        list: The list of labels.
    """

    def __init__(self, pictures: AskedPictures, classes: Sequence[str]) -> None:
        """Read the list.

        Args:
            pictures: The pictures by number.
            classes: Names of classes, beside those that pictures have.

        Raises:
            TlearnError: The list is damaged, or a name cannot be that of a class.
        """
        self._pictures, self.list = pictures, LabelList(pictures.pool.root)
        self.class_names = list[str]()
        for name in [*pictures.class_names, *classes]:
            self.add_class(name)
        self.rows, self._stamp = dict[int, Decision](), (0, 0, -1)
        self.read()

    def read(self) -> None:
        """Read the list where it has changed."""
        stamp = self.list.stamp()
        if stamp == self._stamp:
            return
        rows = ((self._pictures.number_of(path), row) for path, row in self.list.read().items())
        self.rows, self._stamp = {number: row for number, row in rows if number is not None}, stamp
        for row in self.rows.values():
            if row.label:
                self.add_class(row.label)

    def add_class(self, name: str) -> str:
        """Make a class where there is none of this name, and return the name as it is written.

        Raises:
            TlearnError: It cannot be the name of a class.
        """
        text = checked_class(name, self.class_names)
        if text not in self.class_names:
            self.class_names.append(text)
        return text

    def decision(self, given: Mapping[str, Any], why: str) -> Decision:
        """Return a row of the list for a decision as the page sends it.

        Raises:
            TlearnError: There is no such picture or decision, or no name of a class.
        """
        number, kind = self._pictures.checked(given["id"]), _KINDS.get(given["decision"])
        if kind is None:
            raise TlearnError(f"expected a decision of {', '.join(_KINDS)}, got '{given['decision']}'")
        label = checked_class(str(given.get("label") or ""), self.class_names) if kind == "label" else ""
        return Decision(self._pictures.names[number], "", label, kind, doubt=why)

    def order(self) -> list[int]:
        """Return the labelled pictures, those that had a label before first."""
        before = (self._pictures.given >= 0).nonzero().flatten().tolist()
        return [*before, *(number for number, row in self.rows.items() if row.label)]

    def labels(self) -> Tensor:
        """Return the labels of all pictures, int64 (N,), as `next_pictures` takes them."""
        labels, places = self._pictures.given.clone(), {name: place for place, name in enumerate(self.class_names)}
        for number, row in self.rows.items():
            labels[number] = places[self.add_class(row.label)] if row.label else LEFT_OUT
        return labels
