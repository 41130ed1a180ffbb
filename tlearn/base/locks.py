"""Lock a folder against other processes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

with suppress(ModuleNotFoundError):  # Windows has none, and opens no folder: there no folder is locked
    import fcntl

NOT_LOCKED = -1


def lock_folder(folder: Path) -> int | None:
    """Lock a folder; the system releases the lock however this process ends.

    Returns:
        The lock, for `unlock_folder`; `NOT_LOCKED` if the system or the file system locks no folders; ``None`` if
        another process holds the folder.
    """
    if "fcntl" not in globals():
        return NOT_LOCKED
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        return NOT_LOCKED
    return lock


def unlock_folder(lock: int) -> None:
    """Release a lock, also for data workers, which hold a copy of it."""
    if lock != NOT_LOCKED:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)
