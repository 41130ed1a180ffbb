"""The one thread that computes: what arrives together goes together, and nothing ends it but its end."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import pytest

from tlearn.pages.serve.batcher import Batcher, BusyError


def test_what_waits_is_computed_together_as_far_as_it_fits() -> None:
    batcher: Batcher[int, int] = Batcher(100)
    begun, go, seen = Event(), Event(), list[list[int]]()

    def compute(numbers: Sequence[int]) -> list[int]:
        begun.set()
        go.wait(10)
        seen.append(list(numbers))
        return [2 * number for number in numbers]

    def other(numbers: Sequence[int]) -> list[int]:
        seen.append([-number for number in numbers])
        return [0 for _ in numbers]

    futures = [batcher.submit(compute, 3, 0)]
    assert begun.wait(10)  # it waits for nobody
    futures += [batcher.submit(compute, 3, number) for number in range(1, 6)]
    futures += [batcher.submit(other, 3, 6), batcher.submit(compute, 3, 7)]
    go.set()
    assert [future.result(10) for future in futures] == [0, 2, 4, 6, 8, 10, 0, 14]
    assert seen == [[0], [1, 2, 3], [4, 5], [-6], [7]]
    batcher.end()
    assert batcher.done == 8


def test_a_fault_is_that_of_its_jobs_alone_and_the_end_is_one() -> None:
    batcher: Batcher[int, int] = Batcher(2)
    futures = [batcher.submit(lambda numbers: [1 // number for number in numbers], 1, number) for number in (0, 1)]
    with pytest.raises(ZeroDivisionError):
        futures[0].result(10)
    assert futures[1].result(10) == 1
    batcher.reserve(2)
    with pytest.raises(BusyError):
        batcher.reserve(1)
    batcher.release(1)
    batcher.reserve(1)
    assert batcher.waiting == 2
    batcher.end()
    with pytest.raises(BusyError):
        batcher.submit(lambda numbers: list(numbers), 1, 1)


def test_no_thread_starts_before_the_first_job() -> None:
    batcher: Batcher[int, int] = Batcher(2)
    batcher.end()
