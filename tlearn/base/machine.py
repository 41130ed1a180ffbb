"""Compute with no more threads than the machine has free: two beside a busy process are slower than one."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import NamedTuple

import torch

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TICKS = Path("/proc/stat")
_EVERY_S = 1.0


def cores_allowed() -> int:
    """Count the cores that this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def limit_threads() -> None:
    """Let torch have no more threads than cores: in a container it counts those of the whole machine.

    ``OMP_NUM_THREADS`` is obeyed as it stands.
    """
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores_allowed():
        torch.set_num_threads(cores_allowed())


class _Clock(NamedTuple):
    """Seconds since some start: on the wall, of all cores busy, and of this process."""

    wall_s: float
    busy_s: float
    own_s: float


class Neighbours:
    """Tell how many cores other processes keep busy; none where the system does not say (outside Linux)."""

    def __init__(self) -> None:
        self._last = _read()

    def busy_cores(self) -> float:
        """Return the mean over the time since this was last asked."""
        last, self._last = self._last, _read()
        wall_s = self._last.wall_s - last.wall_s
        others_s = (self._last.busy_s - last.busy_s) - (self._last.own_s - last.own_s)
        return max(0.0, others_s / wall_s) if wall_s > 0 else 0.0


class FreeThreads:
    """Compute with as many threads as are free, for as long as the context lasts; asked anew every second.

    Only for work whose bits do not depend on their number, such as features; those of training do.
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._neighbours = Neighbours()
        self._asked_s = time.monotonic()

    def __enter__(self) -> FreeThreads:
        """Begin with all of them."""
        return self

    def __exit__(self, *fault: object) -> None:
        """Go back to all of them."""
        torch.set_num_threads(self._most)

    def follow(self) -> None:
        """Look again, if the last look was a second ago."""
        if time.monotonic() - self._asked_s >= _EVERY_S:
            torch.set_num_threads(free_threads(self._most, self._neighbours.busy_cores()))
            self._asked_s = time.monotonic()


def free_threads(most: int, busy_cores: float) -> int:
    """Return how many threads have a core of their own, one at least."""
    return max(1, min(most, round((os.cpu_count() or 1) - busy_cores)))


def _read() -> _Clock:
    try:
        _, user, nice, system, _, _, irq, softirq, steal = _TICKS.read_text(encoding="ascii").split(maxsplit=9)[:9]
    except (OSError, ValueError):
        return _Clock(time.monotonic(), 0.0, 0.0)
    ticks = sum(map(int, (user, nice, system, irq, softirq, steal)))
    return _Clock(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())
