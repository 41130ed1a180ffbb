"""One thread for the network: it computes together what arrives together, and nobody waits for others to arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Generic, NamedTuple, TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


class BusyError(Exception):
    """No more can wait."""


class _Job(NamedTuple, Generic[Given, Got]):
    compute: Callable[[Sequence[Given]], Sequence[Got]]
    most: int
    given: Given
    future: Future[Got]


class Batcher(Generic[Given, Got]):
    """Computes jobs in the order in which they come; those beside each other of the same kind together.

    Args:
        max_waiting: How many jobs may wait.

    Attributes:
        done: How many jobs have been computed.
    """

    def __init__(self, max_waiting: int) -> None:
        self.done = 0
        self._max_waiting = max_waiting
        self._jobs: deque[_Job[Given, Got]] = deque()
        self._news = Condition()
        self._reserved, self._ended = 0, False
        self._thread = Thread(target=self._work, name="tlearn network", daemon=True)
        self._is_started = False  # a server may fork its processes before the first job

    @property
    def waiting(self) -> int:
        """Return how many jobs wait, those with a place kept for them included."""
        return self._reserved

    def reserve(self, count: int) -> None:
        """Keep places for jobs that will be submitted; `release` gives each back once it is computed or dropped.

        Raises:
            BusyError: There are not so many.
        """
        with self._news:
            if self._reserved + count > self._max_waiting:
                raise BusyError
            self._reserved += count

    def release(self, count: int) -> None:
        """Give places back."""
        with self._news:
            self._reserved -= count

    def submit(self, compute: Callable[[Sequence[Given]], Sequence[Got]], most: int, given: Given) -> Future[Got]:
        """Let a job be computed.

        Args:
            compute: Turns the inputs of jobs into their results; jobs with the same one are computed together.
            most: How many at once.
            given: The input.
        """
        future: Future[Got] = Future()
        with self._news:
            if self._ended:
                raise BusyError
            if not self._is_started:
                self._thread.start()
                self._is_started = True
            self._jobs.append(_Job(compute, most, given, future))
            self._news.notify()
        return future

    def end(self) -> None:
        """Compute no more; what waits is cancelled."""
        with self._news:
            self._ended = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._news.notify()
        if self._is_started:
            self._thread.join(10)

    def _work(self) -> None:
        while jobs := self._next():
            _compute(jobs)
            self.done += len(jobs)
            del jobs  # while it waits, nothing of the last pictures is held

    def _next(self) -> list[_Job[Given, Got]]:
        """Wait for jobs, and take the first with those behind it that are computed with it; none at the end."""
        with self._news:
            while not self._ended:
                jobs = list[_Job[Given, Got]]()
                while self._jobs and (not jobs or _fits(jobs, self._jobs[0])):
                    job = self._jobs.popleft()
                    if job.future.set_running_or_notify_cancel():
                        jobs.append(job)
                if jobs:
                    return jobs
                self._news.wait()
            return []


def _fits(jobs: Sequence[_Job[Given, Got]], job: _Job[Given, Got]) -> bool:
    return len(jobs) < jobs[0].most and job.compute == jobs[0].compute


def _compute(jobs: Sequence[_Job[Given, Got]]) -> None:
    try:
        results = jobs[0].compute([job.given for job in jobs])
    except Exception as error:  # whatever goes wrong, the thread has to live on
        for job in jobs:
            job.future.set_exception(error)
        return
    for job, result in zip(jobs, results, strict=True):
        job.future.set_result(result)
