"""The machine: cores and threads, the fastest precision of the device, and the peak of memory."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.process.haste import give_back_memory

with suppress(ModuleNotFoundError):  # Windows has none
    import resource

FULL_PRECISION = "32-true"  # float32, by Lightning's name
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# What psutil tells of busy cores; not all systems tell all of it. `guest` is part of `user`.
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
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


def device_of(name: str) -> torch.device:
    """Return a device by its name, as torch names it: ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        TlearnError: torch knows no such name, or has no such device here.
    """
    try:
        return torch.empty(0, device=name).device
    except Exception as error:  # torch raises several kinds, some of its own
        raise TlearnError(
            f"expected a device that torch can compute on here, as cpu or cuda, got {name}: {one_line(error, 100)}"
        ) from error


class _Clock(NamedTuple):
    """Seconds since some start: on the wall, of all cores busy, and of this process."""

    wall_s: float
    busy_s: float
    own_s: float


class Neighbours:
    """Tell how many cores other processes keep busy."""

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
    times = psutil.cpu_times()
    busy_s = sum(getattr(times, kind, 0.0) for kind in _BUSY)
    return _Clock(time.monotonic(), busy_s, time.process_time())


def best_precision(accelerator: str) -> str:
    """Return ``bf16-mixed`` where the hardware computes in bfloat16, else ``32-true``.

    On a CPU with AVX512-BF16 or AMX ResNet18 trains 1.3 to 1.8 times as fast in bfloat16; elsewhere it is emulated.

    Args:
        accelerator: What ``--trainer.accelerator`` says: ``auto``, ``cpu``, ``gpu``, ...
    """
    if torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else FULL_PRECISION
    return "bf16-mixed" if uses_cpu(accelerator) and _multiplies_bf16() else FULL_PRECISION


def uses_cpu(accelerator: str) -> bool:
    """Tell whether a run computes on the CPU, for what ``--trainer.accelerator`` says."""
    return accelerator == "cpu" or (
        accelerator == "auto" and not torch.cuda.is_available() and not torch.backends.mps.is_available()
    )


def _multiplies_bf16() -> bool:
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is None:  # torch 2.9; a processor with AMX has AVX512-BF16 too
        return torch.cpu._is_avx512_bf16_supported()
    able = ask()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_HIGH_WATER_MARK = "5"  # see proc_pid_clear_refs(5)


class PeakMemory:
    """Counts from its making on: what a GPU had allocated for tensors, else what this process had resident.

    Memory that the process holds already counts too: libraries, and what earlier work left behind.

    Args:
        device: Where the work is done.

    Attributes:
        since: ``now`` when it counts from its making on, ``start`` where the system only knows the most since the
            process began.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.since = "now" if self._reset() else "start"

    def bytes(self) -> int:
        """Return the most so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if self.since == "now":
            return _high_water_mark()
        return resident_since_start()

    def _reset(self) -> bool:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return True
        give_back_memory()  # else what earlier work had would count as this work's
        try:
            _CLEAR.write_text(_RESET_HIGH_WATER_MARK, encoding="ascii")
            return _high_water_mark() > 0
        except (OSError, StopIteration):  # not Linux, or forbidden in this container
            return False


def resident_since_start() -> int:
    """Return the most bytes that this process ever had resident."""
    if psutil.WINDOWS:
        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009  # typed for Linux
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if psutil.MACOS else most * 1024  # macOS counts bytes, Linux kibibytes


def _high_water_mark() -> int:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
