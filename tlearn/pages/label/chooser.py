"""Choose the next pictures in the background, so that answers never wait. N pictures, K classes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from tlearn.analysis.query.choose import LEFT_OUT, Query, next_pictures
from tlearn.analysis.query.clusters import compressed
from tlearn.analysis.query.curve import LabelCurve, Outlook, ScorePoint, outlook


class Task(NamedTuple):
    """What to choose from.

    Attributes:
        labels: int64 (N,), as `next_pictures` takes them.
        order: The labelled pictures, in the order in which they were labelled.
        given: How many of them had a label before.
        shown: Pictures that are shown now, without an answer yet: others are chosen.
        wanted: How many pictures.
        num_classes: K.
    """

    labels: Tensor
    order: Sequence[int]
    given: int
    shown: frozenset[int]
    wanted: int
    num_classes: int


class Chosen(NamedTuple):
    """What was chosen, and what is known of the labels so far.

    Attributes:
        version: How often something was chosen.
        queries: The pictures to ask for.
        curve: The learning curve.
        outlook: What more labels are worth.
    """

    version: int
    queries: list[Query]
    curve: list[ScorePoint]
    outlook: Outlook


class Chooser:
    """A thread that works as long as there is something new to choose from.

    Args:
        features: float32 (N, D), of all pictures.
        seed: Of the choice.
    """

    def __init__(self, features: Tensor, seed: int) -> None:
        self._features, self._seed = features, seed
        self._rows = compressed(features)
        self._curve = LabelCurve(features)
        self._changed = threading.Condition()
        self._task: Task | None = None
        self._is_working, self._fault = False, ""
        self._chosen = Chosen(0, [], [], outlook([], 1))

    @property
    def latest(self) -> Chosen:
        """The newest choice, which may be of earlier labels."""
        with self._changed:
            return self._chosen

    @property
    def is_choosing(self) -> bool:
        """Tell whether a newer choice is on its way."""
        with self._changed:
            return self._is_working

    @property
    def fault(self) -> str:
        """What stopped the last choice, in one line; empty if nothing did."""
        with self._changed:
            return self._fault

    def choose(self, task: Task) -> None:
        """Choose from this as soon as what is in work is done; an earlier task that waits is dropped."""
        with self._changed:
            self._task = task
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="tlearn-label").start()

    def wait(self, version: int) -> Chosen:
        """Return a choice newer than a version, or the newest where none is on its way."""
        with self._changed:
            self._changed.wait_for(lambda: self._chosen.version > version or not self._is_working)
            return self._chosen

    def settle(self) -> Chosen:
        """Wait until nothing is left to choose from, and return the newest choice."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_working)
            return self._chosen

    def _work(self) -> None:
        while (task := self._taken()) is not None:
            try:
                self._do(task)
            except Exception as error:  # a thread has nobody to tell; the page shows it
                self._note_fault(error)

    def _taken(self) -> Task | None:
        with self._changed:
            task, self._task = self._task, None
            if task is None:
                self._is_working = False
                self._changed.notify_all()
            return task

    def _do(self, task: Task) -> None:
        asked = task.labels.clone()
        asked[list(task.shown)] = LEFT_OUT
        queries = next_pictures(self._features, asked, task.wanted, task.num_classes, self._seed, self._rows)
        self._note(queries, self._chosen.curve, self._chosen.outlook)
        curve = self._curve.points(task.order, task.labels, task.given, task.num_classes)
        self._note(queries, curve, outlook(curve, task.wanted))

    def _note(self, queries: list[Query], curve: list[ScorePoint], expected: Outlook) -> None:
        with self._changed:
            self._fault, self._chosen = "", Chosen(self._chosen.version + 1, queries, curve, expected)
            self._changed.notify_all()

    def _note_fault(self, error: Exception) -> None:
        with self._changed:
            self._fault = f"choosing failed ({type(error).__name__}: {error})".splitlines()[0]
            self._changed.notify_all()
