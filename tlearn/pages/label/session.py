"""Behind the page of ``label``: which pictures to ask for, what was answered, what the labels are worth. No web in it.

Letters: N pictures that may be asked for, M others that have a label, K classes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.analysis.pool.unlabelled_pool import UnlabelledPool
from tlearn.analysis.query.choose import Query
from tlearn.base.errors import TlearnError
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.listing import listed, number_of
from tlearn.pages.label.answers import Answers
from tlearn.pages.label.asked import AskedPictures
from tlearn.pages.label.chooser import Chooser, Chosen, Task
from tlearn.pages.server.pool_key import pool_key

BATCH = 50
_OFTEN = 10  # parts of a batch after each of which the next one is chosen anew


class LabelSession:
    """Pictures of a folder to label, a batch at a time; what is decided is in the folder's list at once."""

    def __init__(
        self,
        pool: UnlabelledPool,
        labelled: LabelledPool | None = None,
        classes: Sequence[str] = (),
        batch: int = BATCH,
        seed: int = 0,
    ) -> None:
        """Read the list of labels, and begin to choose.

        Args:
            pool: The pictures of the folder, with features of a network that does not train.
            labelled: Pictures with labels, of the same network, if there are any.
            classes: Names of classes, beside those that pictures have.
            batch: How many pictures are asked for at a time.
            seed: Of the choice.

        Raises:
            TlearnError: No picture is left to ask for, or the list is damaged.
        """
        self._pictures = AskedPictures(pool, labelled)
        self._answers = Answers(self._pictures, classes)
        self._given = int((self._pictures.given >= 0).sum())
        self.key = pool_key(pool.root, self._pictures.names)
        self._lock = threading.RLock()
        self._batch, self._shown, self._unchosen = batch, frozenset[int](), 0
        self._chooser = Chooser(self._pictures.features, seed)
        self._choose()

    def __len__(self) -> int:
        """Count the pictures that may be asked for."""
        return len(self._pictures)

    def name(self, number: int) -> str:
        """Return the path of a picture, relative to the folder."""
        return self._pictures.names[self._pictures.checked(number)]

    def path(self, number: int) -> Path:
        """Return the file of a picture."""
        return self._pictures.path(self._pictures.checked(number))

    @property
    def reading(self) -> Reading:
        """What the files' numbers mean, as the network takes them."""
        return self._pictures.pool.framing.reading

    def decided(self, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Return the decision and the class, empty without one, of those pictures that have a decision."""
        with self._lock:
            self._answers.read()
            rows = self._answers.rows
            return {each: (rows[each].decision, rows[each].label) for each in numbers if each in rows}

    def state(self) -> dict[str, Any]:
        """Return counts, the learning curve and the forecast, as JSON takes it."""
        with self._lock:
            self._answers.read()
            kinds = [row.decision for row in self._answers.rows.values()]
            chosen = self._chooser.latest
            root, labelled = self._pictures.pool.root, len(self._answers.order())
            return {
                "title": root.resolve().name,
                "folder": str(root.absolute()),
                "list": str(self._answers.list.path.absolute()),
                "class_names": list(self._answers.class_names),
                "counts": {
                    "pictures": len(self._pictures),
                    "labelled": labelled - self._given,
                    "given": self._given,
                    "left": len(self._pictures) - len(kinds),
                    "none": kinds.count("exclude"),
                    "unsure": kinds.count("unsure"),
                },
                "curve": [each._asdict() for each in chosen.curve],
                "forecast": {
                    "text": chosen.outlook.text,
                    "points": [{"labels": labels, "score": score} for labels, score in chosen.outlook.points],
                },
                "version": chosen.version,
                "choosing": self._chooser.is_choosing,
                "remark": self._remark(),
            }

    def next(self, count: int | None = None) -> dict[str, Any]:
        """Return pictures to ask for that are neither decided nor shown: ``version`` and ``items``.

        Those that were shown before and have no decision come again when no others are left. A choice that is ready is
        taken; it waits for one in work only where too few are left of the last.

        Args:
            count: How many; as many as in a batch by default.

        Raises:
            TlearnError: Choosing failed.
        """
        with self._lock:
            self._answers.read()
            count = self._batch if count is None else count
            if count > self._batch or not self._chooser.latest.queries:
                self._batch = max(count, self._batch)
                self._choose()
            wanted = min(count, self._open_count(but=self._shown))
            chosen = self._chooser.latest
        found = self._fresh(chosen)
        while len(found) < wanted and self._chooser.is_choosing:
            chosen = self._chooser.wait(chosen.version)
            found = self._fresh(chosen)
        if len(found) < wanted:
            found = self._chosen_anew()
        if wanted and not found:
            raise TlearnError(self._chooser.fault)
        return self._asked(found[:count] or self._again(count), chosen.version)

    def decide(self, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write decisions into the list, and return the state.

        Args:
            decisions: Each with ``id``, ``decision`` (``label``, ``exclude`` for none of these, ``unsure``) and, for
                ``label``, the class as ``label``; a new one is made.

        Raises:
            TlearnError: There is no such picture, decision or class name, or the list cannot be written.
        """
        with self._lock:
            why = {each.position: self._why(each) for each in self._chooser.latest.queries}
            rows = [self._answers.decision(each, why.get(each["id"], "")) for each in decisions]
            self._answers.list.decide(rows)
            for row in rows:
                if row.label:
                    self._answers.add_class(row.label)
            self._after_change(len(rows))
            return self.state()

    def undo(self, ids: Sequence[int] | None = None) -> dict[str, Any]:
        """Take decisions back, and return which, as ``ids``, with the ``state``.

        Those of a review on a label stay: with them the label would be gone.

        Args:
            ids: Numbers of pictures; by default that of the last decision.
        """
        with self._lock:
            self._answers.read()
            own = {number: row for number, row in self._answers.rows.items() if not row.old}
            wanted = list(own)[-1:] if ids is None else [self._pictures.checked(each) for each in ids]
            undone = [each for each in wanted if each in own]
            self._answers.list.undo([own[each].path for each in undone])
            self._after_change(len(undone))
            return {"ids": undone, "state": self.state()}

    def add_class(self, name: str) -> dict[str, Any]:
        """Make a class, and return the state with the name as ``added``; it is kept once a picture has it.

        Raises:
            TlearnError: It cannot be the name of a class.
        """
        with self._lock:
            return {"added": self._answers.add_class(name), **self.state()}

    def settle(self) -> None:
        """Wait until the newest choice is of all that was decided."""
        with self._lock:
            if self._unchosen:
                self._choose()
        self._chooser.settle()

    def _after_change(self, count: int) -> None:
        self._answers.read()
        self._unchosen += count
        is_done = self._shown <= self._answers.rows.keys()
        if is_done or self._unchosen * _OFTEN >= self._batch:
            self._choose()

    def _choose(self) -> None:
        self._unchosen = 0
        shown = self._shown - self._answers.rows.keys()
        task = Task(
            self._answers.labels(),
            self._answers.order(),
            self._given,
            shown,
            self._batch,
            len(self._answers.class_names),
        )
        self._chooser.choose(task)

    def _open_count(self, but: frozenset[int]) -> int:
        return len(self._pictures) - len(self._answers.rows.keys() | but)

    def _fresh(self, chosen: Chosen) -> list[Query]:
        with self._lock:
            taken = self._answers.rows.keys() | self._shown
            return [each for each in chosen.queries if each.position not in taken]

    def _chosen_anew(self) -> list[Query]:
        with self._lock:
            self._choose()
        return self._fresh(self._chooser.settle())

    def _again(self, count: int) -> list[Query]:
        with self._lock:
            return [Query(number, "shown") for number in sorted(self._shown - self._answers.rows.keys())][:count]

    def _asked(self, queries: Sequence[Query], version: int) -> dict[str, Any]:
        with self._lock:
            self._shown = frozenset(each.position for each in queries)
            return {"version": version, "items": [self._item(each) for each in queries]}

    def _item(self, query: Query) -> dict[str, Any]:
        return {
            "id": query.position,
            "name": self._pictures.names[query.position],
            "proposal": self._answers.class_names[query.classes[0]] if query.classes else None,
            "probability": query.probability,
            "why": self._why(query),
        }

    def _why(self, query: Query) -> str:
        return query.why(self._answers.class_names)

    def _remark(self) -> str:
        pictures, unreadable = self._pictures, self._pictures.pool.unreadable
        parts = [self._chooser.fault] if self._chooser.fault else []
        if unreadable:
            parts.append(
                f"left out {number_of(len(unreadable), 'file')} without a picture: {listed(unreadable, most=3)}"
            )
        if pictures.copies:
            parts.append(f"of {number_of(pictures.copies, 'copy', 'copies')} one picture is asked for")
        if pictures.labelled_here:
            parts.append(f"{number_of(pictures.labelled_here, 'picture')} of the folder had a label already")
        return "; ".join(parts)
