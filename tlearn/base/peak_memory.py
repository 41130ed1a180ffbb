"""The most memory that was in use at once, counted from a moment of one's choice where the system allows it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

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
        try:
            _CLEAR.write_text(_RESET_HIGH_WATER_MARK, encoding="ascii")
            return _high_water_mark() > 0
        except (OSError, StopIteration):  # not Linux, or forbidden in this container
            return False


def resident_since_start() -> int:
    """Return the most bytes that this process ever had resident."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, Linux kibibytes


def _high_water_mark() -> int:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
