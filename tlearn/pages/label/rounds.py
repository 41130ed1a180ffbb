"""The batch of pictures that every tab works on, what was answered in it, and the batch after it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.reading_options import Reading
from tlearn.pages.server.json_answers import as_text


class Labelling(Protocol):
    """What the page needs of a `LabelSession`: it chooses pictures, and keeps what is decided."""

    @property
    def key(self) -> str:
        """What is another one for other pictures; see `pool_key`."""

    @property
    def reading(self) -> Reading:
        """What the files' numbers mean."""

    def name(self, number: int) -> str:
        """Return the path of a picture, relative to the folder."""

    def path(self, number: int) -> Path:
        """Return the file of a picture."""

    def decided(self, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Return the decision and the class of those pictures that have a decision."""

    def state(self) -> dict[str, Any]:
        """Return counts, the learning curve and the forecast."""

    def next(self, count: int | None) -> dict[str, Any]:
        """Return pictures that have no decision yet, as many as its batch has if no count is given."""

    def decide(self, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Keep decisions, and return the state."""

    def undo(self, ids: Sequence[int] | None) -> dict[str, Any]:
        """Take decisions back, the last one without `ids`, and return which, with the state."""

    def add_class(self, name: str) -> dict[str, Any]:
        """Make a class, and return the state, with the name as `added`."""


class Rounds:
    """The batch in work. All tabs see the same one, with what was answered in it, also after a reload.

    Args:
        session: What chooses the pictures and keeps the decisions.
        command: What to type when there are labels enough.
    """

    def __init__(self, session: Labelling, command: str) -> None:
        self._session, self._command = session, command
        self._choosing = threading.Lock()
        self._run, self._number = secrets.token_hex(4), 0  # a tab that was open before a new start sees that it was
        self._batch: list[dict[str, Any]] = []
        self._shown: dict[int, dict[str, Any]] = {}  # pictures of all batches: an undo may bring one of them back

    def state(self) -> dict[str, Any]:
        """Return the session's state, with the `round` in work and the `command` to type in the end."""
        return self._with_round(self._session.state())

    def batch(self, count: int | None, after: str | None) -> dict[str, Any]:
        """Return the batch in work, or the one that follows `after`, which is chosen once for all tabs."""
        with self._choosing:
            if self._number == 0 or after == self._key:
                self._batch = self._session.next(count)["items"]
                self._shown |= {item["id"]: item for item in self._batch}
                self._number += 1
            answer = {"round": self._key, "number": self._number}
            batch = self._batch
        return answer | {"items": self._with_decisions(batch)}

    def decide(self, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Keep decisions, and return the state.

        Raises:
            TlearnError: An id is not that of the named picture any more, as after a start with other pictures.
        """
        for each in decisions:
            expected, found = each.get("name"), as_text(self._session.name(each["id"]))
            if expected is not None and expected != found:
                raise TlearnError(f"the pictures have changed since this page was opened: {expected} is {found} now")
        return self._with_round(self._session.decide(decisions))

    def undo(self, ids: Sequence[int] | None) -> dict[str, Any]:
        """Take decisions back; the answer brings the pictures, for a tab that does not have them any more."""
        answer = self._session.undo(ids)
        items = [self._shown[each] for each in answer["ids"] if each in self._shown]
        return {"ids": answer["ids"], "items": self._with_decisions(items), "state": self._with_round(answer["state"])}

    def add_class(self, name: str) -> dict[str, Any]:
        """Make a class, and return the state, with its name as it is written as `added`."""
        return self._with_round(self._session.add_class(name))

    @property
    def _key(self) -> str:
        return f"{self._run}-{self._number}"

    def _with_round(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"command": self._command, **state, "pool": self._session.key, "round": self._key}

    def _with_decisions(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        decided = self._session.decided(item["id"] for item in items)
        answers = (decided.get(item["id"], (None, None)) for item in items)
        return [
            {**item, "decision": kind, "label": label or None}
            for item, (kind, label) in zip(items, answers, strict=True)
        ]
