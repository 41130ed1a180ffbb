"""Work that a thread does beside the caller, who needs what it finds later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Generic, TypeVar

Found = TypeVar("Found")
Item = TypeVar("Item")


class Beside(Generic[Found]):
    """Begin some work in a thread of its own.

    It pays where the work lets go of Python's lock, as decoding and encoding pictures does, and where the caller uses
    one core.

    Args:
        work: The work. It gets this object, whose `until_stopped` it goes through, so that a run can end before it.
    """

    def __init__(self, work: Callable[[Beside[Found]], Found]) -> None:
        self._stop = Event()
        pool = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._future = pool.submit(work, self)
        pool.shutdown(wait=False)  # the thread ends with the work

    def found(self) -> Found:
        """Wait for the work, and return what it found, or raise what it raised."""
        return self._future.result()

    def stop(self) -> None:
        """Let the work end soon; nobody will ask what it found."""
        self._stop.set()

    def until_stopped(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items while the work is wanted."""
        for item in items:
            if self._stop.is_set():
                return
            yield item
