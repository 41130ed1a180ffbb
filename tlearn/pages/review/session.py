"""`ReviewSession`: everything behind the page of ``review``, safe for several threads. N pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import RLock, Thread

import torch
from torch import Tensor

from tlearn.analysis.doubt.answers import Head
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.analysis.pool.map import stored_positions
from tlearn.models.reliability.neighbours import KnownFeatures
from tlearn.pages.review.decided import Decided
from tlearn.pages.review.items import chosen, items_of
from tlearn.pages.review.json_types import Filters, GivenDecision, Map, Marks, Order, Page, State, Undone
from tlearn.pages.review.judgement import Judgement, judge, still_wrong
from tlearn.pages.server.pool_key import pool_key

SOLVED_EVERY = 20  # decisions
Findings = Callable[[], Mapping[str, Sequence[str]]]
log = logging.getLogger(__name__)


class ReviewSession:
    """Labelled pictures in the order of their doubt, what speaks for and against each label, and the decisions.

    Decisions lie in the list of labels beside the pictures, which other sessions may write too. After every 20 of them
    the head is solved anew in the background, and the order has another version.

    Attributes:
        pool: The pictures.
        key: See `pool_key`.
    """

    def __init__(
        self,
        pool: LabelledPool,
        title: str = "",
        remark: str = "",
        given: Sequence[str] | None = None,
        findings: Findings | None = None,
    ) -> None:
        """Solve the head once; the map and the doctor's findings come in the background.

        Args:
            pool: The pictures, those that the list leaves out among them, with labels by folder or table.
            title: What is reviewed, such as the run or the folder.
            remark: A line that the page shows, such as which network looks.
            given: N labels by folder or table, empty for a picture that has none; the pool's own by default.
            findings: Finds what the doctor says: paths relative to the root to lines. It is called in a thread.

        Raises:
            TlearnError: The list of labels is damaged, or a feature is not finite.
        """
        self.pool, self.key = pool, pool_key(pool.root, pool.names)
        self._title, self._remark = title, remark
        self._lock = RLock()
        self._decided = Decided(pool, given)
        self._known = KnownFeatures(pool.features)
        self._head = Head(pool.features, pool.groups, pool.is_stored)
        self._judgement = self._judged(*self._standing(), 1)
        self._solver: Thread | None = None
        self._changes = 0  # decisions since the last solution began
        self._findings: Mapping[str, Sequence[str]] = {}
        self._positions: Tensor | None = None
        self._in_background(self._find, findings)
        self._mapper: Thread | None = None

    def path(self, picture: int) -> Path | None:
        """Return the file of a picture; ``None`` for no such number."""
        return self.pool.path(picture) if 0 <= picture < len(self.pool) else None

    def order(self, filters: Filters | None = None) -> Order:
        """Return the ids of the pictures that are asked for, the most doubtful first.

        Raises:
            TlearnError: See `items`.
        """
        with self._lock:
            self._follow()
            rows = chosen(self.pool, self._judgement, self._decided, filters or Filters())
            return Order(version=self._judgement.version, ids=rows)

    def items(self, filters: Filters | None = None, start: int = 0, count: int = 50) -> Page:
        """Return some of the pictures that are asked for, the most doubtful first.

        Args:
            filters: Which pictures.
            start: The place of the first in that order, from 0.
            count: How many.

        Raises:
            TlearnError: A filter names no class, group or picture of these, or the list of labels is damaged.
        """
        with self._lock:
            self._follow()
            judgement = self._judgement
            rows = chosen(self.pool, judgement, self._decided, filters or Filters())
            asked = rows[start : start + count]
            items = items_of(self.pool, self._known, judgement, self._decided, self._findings, asked)
            return Page(total=len(rows), version=judgement.version, items=items)

    def decide(self, decisions: Sequence[GivenDecision]) -> State:
        """Write decisions into the list at once, and return the state after them.

        Raises:
            TlearnError: There is no such picture, decision or class, or the list cannot be written.
        """
        with self._lock:
            doubt = self._judgement.answers.doubt
            count = len(doubt)
            doubts = [_told(float(doubt[each["id"]])) if 0 <= each["id"] < count else "" for each in decisions]
            self._decided.decide(decisions, doubts)
            self._note(len(decisions))
            return self.state()

    def undo(self, ids: Sequence[int] | None = None) -> Undone:
        """Take back the decisions on these pictures, or without ids the last that was made.

        Raises:
            TlearnError: There is no such picture, or the list cannot be written.
        """
        with self._lock:
            rows = self._decided.undo(ids)
            self._note(len(rows))
            return Undone(ids=rows, state=self.state())

    def state(self) -> State:
        """Return what the page shows of the whole.

        Raises:
            TlearnError: The list of labels is damaged.
        """
        with self._lock:
            self._follow()
            judgement, pool = self._judgement, self.pool
            return State(
                title=self._title,
                pool=self.key,
                folder=str(pool.root),
                list=self._decided.path,
                class_names=list(self._decided.class_names),
                group_names=[] if pool.groups is None else list(pool.group_names),
                counts=self._decided.counts(),
                score=judgement.score,
                worth_looking=still_wrong(judgement, self._decided.rows()),
                version=judgement.version,
                solving=self._solver is not None,
                remark=self._remark,
            )

    def marks(self) -> Marks:
        """Return what holds for each picture: the number of its label, of the proposal, and whether it is decided."""
        with self._lock:
            self._follow()
            return Marks(
                version=self._judgement.version,
                labels=self._decided.numbers_of([self._decided.label_of(row) for row in range(len(self.pool))]),
                proposals=self._judgement.answers.proposals.tolist(),
                decided=self._decided.rows().int().tolist(),
            )

    def map(self) -> Map:
        """Return where the pictures lie in two dimensions; the first call begins to compute it."""
        with self._lock:
            if self._mapper is None:
                self._mapper = self._in_background(self._draw)
            found = self._positions
        if found is None:
            return Map(ready=False, x=[], y=[])
        return Map(ready=True, x=found[:, 0].tolist(), y=found[:, 1].tolist())

    def wait(self) -> None:
        """Wait until nothing is being solved."""
        while (solver := self._solver) is not None:
            solver.join()

    def _follow(self) -> None:
        if self._decided.follow():  # somebody else has written
            self._note(1)

    def _note(self, changes: int) -> None:
        self._changes += changes
        if self._changes >= SOLVED_EVERY and self._solver is None:
            self._changes = 0
            self._solver = self._in_background(self._solve, *self._standing(), self._judgement.version + 1)

    def _standing(self) -> tuple[Tensor, int, Tensor]:
        return self._decided.labels(), len(self._decided.class_names), self._decided.rows()

    def _solve(self, labels: Tensor, num_classes: int, settled: Tensor, version: int) -> None:
        try:
            judgement = self._judged(labels, num_classes, settled, version)
            with self._lock:
                self._judgement = judgement
        finally:
            with self._lock:
                self._solver = None
                self._note(0)

    def _judged(self, labels: Tensor, num_classes: int, settled: Tensor, version: int) -> Judgement:
        with torch.inference_mode():
            return judge(self._head, labels, num_classes, self.pool.groups, settled, version)

    def _find(self, findings: Findings | None) -> None:
        if findings is not None:
            found = findings()
            with self._lock:
                self._findings = found

    def _draw(self) -> None:
        with torch.inference_mode():
            found = stored_positions(self.pool.features)
        with self._lock:
            self._positions = found

    def _in_background(self, work: Callable[..., None], *given: object) -> Thread:
        thread = Thread(target=_logged, args=(work, *given), daemon=True)
        thread.start()
        return thread


def _logged(work: Callable[..., None], *given: object) -> None:
    """Say what went wrong in a thread, which nobody waits for."""
    try:
        work(*given)
    except Exception as error:
        log.warning("%s", error)


def _told(doubt: float) -> str:
    return f"self-confidence {1 - doubt:.2f}" if doubt == doubt else ""
