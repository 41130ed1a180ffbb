"""One process at a time in a folder, of any number on any machines that see it.

Two marks say that a folder is taken:

- The kernel's lock on the folder. It goes with the process, however that ends. Processes of this machine see it.
- A file ``.worker-N``, the N-th that was made there, with a new time every `BEAT_S` seconds. Other machines, and disks
  that lock no folder, have only this: who is silent for `SILENT_S` seconds counts as dead. Nobody's clock is asked but
  that of the one who watches.

A file is made only where there is none (``O_EXCL``), so of two who take a folder at once one gets it.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tlearn.base.locks import NOT_LOCKED, lock_folder, unlock_folder

BEAT_S = 15.0
SILENT_S = 120.0  # more than an NFS client keeps what it knows of a file (60 s)
_FILE = ".worker-"
_POLL_S = 0.05


class Lease:
    """The right to write in a folder, until it is released or this process ends.

    Args:
        path: The file that was made.
        lock: The folder's lock.
        alone: See below.

    Attributes:
        alone: The worker before has surely ended. Else it is only silent, and may wake up and write.
    """

    def __init__(self, path: Path, lock: int, alone: bool) -> None:
        self.alone = alone
        self._path, self._lock = path, lock
        self._ended = threading.Event()
        threading.Thread(target=self._beat, name="lease", daemon=True).start()

    def is_held(self) -> bool:
        """Tell whether nobody else took the folder, because this process was silent for too long."""
        return _newest(self._path.parent) == _number_of(self._path)

    def release(self) -> None:
        """Let others have the folder at once."""
        self._ended.set()
        with suppress(OSError):  # the disk is gone: others wait until this one counts as dead
            os.utime(self._path, (0, 0))
        unlock_folder(self._lock)

    def __enter__(self) -> Lease:
        """Hold it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release it."""
        self.release()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(OSError):
                os.utime(self._path)


class Holder(NamedTuple):
    """Who took a folder last.

    Attributes:
        host: Its machine.
        pid: Its process there.
        beat: When it was last known to be alive; another time later shows that it still is.
        is_locked: It surely is alive: the kernel holds the folder for it.
    """

    host: str
    pid: int
    beat: int
    is_locked: bool


class Leases:
    """Takes folders, and remembers which other workers it has seen alive."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, float]] = {}

    def take(self, folder: Path) -> Lease | None:
        """Take a folder, which is made where there is none; ``None`` while another worker has it."""
        folder.mkdir(parents=True, exist_ok=True)
        lock, lease = lock_folder(folder), None
        if lock is None:
            return None
        try:
            lease = self._taken(folder, lock)
        finally:
            if lease is None:
                unlock_folder(lock)
        return lease

    @contextmanager
    def waiting_for(self, folder: Path) -> Iterator[Lease]:
        """Hold a folder that others hold for moments only."""
        while (lease := self.take(folder)) is None:
            time.sleep(_POLL_S)
        with lease:
            yield lease

    @staticmethod
    def holder_of(folder: Path) -> Holder | None:
        """Return who took a folder last; ``None`` where nobody did, or it is just being taken."""
        path = folder / f"{_FILE}{_newest(folder)}"
        lock = lock_folder(folder)
        if lock is not None:
            unlock_folder(lock)
        with suppress(OSError, ValueError, KeyError, TypeError):
            about = json.loads(path.read_text(encoding="utf-8"))
            return Holder(str(about["host"]), int(about["pid"]), _beat_of(path), lock is None)
        return None

    def _taken(self, folder: Path, lock: int) -> Lease | None:
        newest = _newest(folder)
        try:
            alone = newest == 0 or _has_ended(folder / f"{_FILE}{newest}", has_lock=lock != NOT_LOCKED)
            if not alone and not self._is_silent(folder / f"{_FILE}{newest}"):
                return None
            path = folder / f"{_FILE}{newest + 1}"
            with path.open("x", encoding="utf-8") as file:
                json.dump({"machine": _machine(), "host": platform.node(), "pid": os.getpid()}, file)
        except (FileExistsError, FileNotFoundError):  # another was quicker
            return None
        if _newest(folder) != newest + 1:  # what was seen of the folder was old
            path.unlink(missing_ok=True)
            return None
        for each in folder.glob(f"{_FILE}*"):
            if _number_of(each) <= newest:
                each.unlink(missing_ok=True)
        return Lease(path, lock, alone)

    def _is_silent(self, path: Path) -> bool:
        beat, now_s = _beat_of(path), time.monotonic()
        seen, since_s = self._seen.get(path, (0, now_s))  # 0 is the time of none that is alive
        if seen != beat:
            self._seen[path] = (beat, now_s)
            return False
        return now_s - since_s >= SILENT_S


def _has_ended(path: Path, has_lock: bool) -> bool:
    """Tell whether a worker has surely ended: it released the folder, or this machine's kernel did."""
    if _beat_of(path) == 0:
        return True
    try:
        machine = json.loads(path.read_text(encoding="utf-8")).get("machine")
    except (ValueError, AttributeError):  # it is being written, or was never
        return False
    return has_lock and machine == _machine()


def _beat_of(path: Path) -> int:
    with path.open("rb") as file:  # NFS asks the server for a file's time when it is opened
        return os.fstat(file.fileno()).st_mtime_ns


def _newest(folder: Path) -> int:
    return max(map(_number_of, folder.glob(f"{_FILE}*")), default=0)


def _number_of(path: Path) -> int:
    number = path.name.removeprefix(_FILE)
    return int(number) if number.isdecimal() else 0


def _machine() -> str:
    """Name the kernel that runs this process: containers on one machine share its locks, and have other host names."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{platform.node()}-{uuid.getnode():x}"
