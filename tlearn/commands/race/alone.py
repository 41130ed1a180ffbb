"""One process at a time in a race: two would write into each other's members."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.commands.compare.lease import Lease, Leases
from tlearn.commands.race.text import say

_POLL_S = 1.0


@contextmanager
def alone_in(folder: Path) -> Iterator[Lease]:
    """Hold the folder of a race, which is made where there is none.

    A process of another machine, or on a disk that locks no folders, shows that it is alive only by the time of a file;
    one that was killed shows it by its silence, for which this waits.

    Args:
        folder: Of all members.

    Raises:
        TlearnError: Another process holds it.
    """
    leases, first = Leases(), None
    while (lease := leases.take(folder)) is None:
        holder = leases.holder_of(folder)
        if holder is not None and (holder.is_locked or (first is not None and holder.beat != first.beat)):
            raise TlearnError(
                f"process {holder.pid} on {holder.host} races in {folder}: when it has ended, the same command takes "
                "what it trained; for another race now: --trainer.default_root_dir DIR"
            )
        if first is None and holder is not None:
            first = holder
            say(f"looking whether process {holder.pid} on {holder.host}, which raced here, is alive: up to 2 min")
        time.sleep(_POLL_S)
    with lease:
        yield lease


def check_held(lease: Lease) -> None:
    """Refuse to write where another process writes by now.

    Raises:
        TlearnError: This process was silent for so long, in a sleep of its machine or on a disk that did not answer,
            that another took the race.
    """
    if not lease.is_held():
        raise TlearnError("another process took this race, since this one was silent for minutes; let that one end it")
