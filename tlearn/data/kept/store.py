"""Pixels on disk under ``.cache/tlearn/pictures``: each picture is written whole or not at all, and checked before use.

An entry is a folder: ``pixels``, one picture behind the other; ``rows``, where each lies; ``about.json``, what shaped
them. Pictures are only ever added, under a lock, the pixels before their row. So a process that dies leaves at most
bytes that no row names, and any number of processes may read and add at the same time. Imports no torch.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import FOLDER, Entry, key_of
from tlearn.base.files import write_whole

Pixels = NDArray[np.uint8]
PLACE = FOLDER / "pictures"
KEY_BYTES = 24
# What is mapped at once: Linux maps no file larger than the memory so that it may be written to, as torch wants.
_WINDOW_BYTES = 2**28
_PATIENCE_S = 30  # another process adds a picture in milliseconds
_ROW = np.dtype([("key", f"V{KEY_BYTES}"), ("offset", "<u8"), ("shape", "<u4", 3), ("pixels", "<u4"), ("row", "<u4")])
_PIXELS, _ROWS, _ABOUT = "pixels", "rows", "about.json"


class PixelStore:
    """The pictures of one entry, for all threads of a process; other processes open their own.

    Args:
        about: Everything that shaped the pixels, but the pictures themselves; its hash names the entry.
        limit_bytes: What all entries may take together.
    """

    def __init__(self, about: Mapping[str, Any], limit_bytes: int) -> None:
        self.about, self.limit_bytes, self.name = dict(about), limit_bytes, key_of(about)
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[bytes, Any] = {}  # rows that were read
        self._sound: dict[bytes, Pixels] = {}  # pixels that were checked; each holds the file that it lies in
        self._windows: dict[int, Pixels] = {}  # by where they begin
        self._read_bytes, self._inode = 0, 0

    def __getstate__(self) -> dict[str, Any]:
        """Send to another process only what names the entry."""
        return {"about": self.about, "limit_bytes": self.limit_bytes, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look anew there."""
        self.__dict__.update(state)
        self._forget()

    def get(self, key: bytes) -> Pixels | None:
        """Return the pixels of a picture in the shape that they were put in; ``None`` where there are none, or damaged.

        They are mapped from the disk: nothing is read before it is used.
        """
        pixels = self._sound.get(key)
        if pixels is None:
            with self._lock:
                pixels = self._checked(key)
        return pixels

    def holds(self, key: bytes) -> bool:
        """Tell whether there is such a picture; its pixels are not checked."""
        if key not in self._found:
            with self._lock:
                self._look()
        return key in self._found

    def put(self, key: bytes, pixels: Pixels) -> bool:
        """Add a picture, unless it is there.

        Args:
            key: `KEY_BYTES` that name the picture in its present state.
            pixels: uint8, three axes.

        Returns:
            Whether there was room for it.

        Raises:
            OSError: The disk refuses.
        """
        data = np.ascontiguousarray(pixels)
        checksum = zlib.crc32(data.data)  # outside of the lock: other threads decode meanwhile
        try:
            with self._lock, FileLock(_lock_of(self.name), timeout=_PATIENCE_S):
                self._look()
                if key in self._found:
                    return True
                if data.nbytes > room(self.limit_bytes):
                    return False
                self._append(key, data, checksum)
        except Timeout:
            pass  # kept another time
        return True

    def _append(self, key: bytes, data: Pixels, checksum: int) -> None:
        folder = PLACE / self.name
        folder.mkdir(exist_ok=True)
        if not (folder / _ABOUT).exists():
            write_whole(folder / _ABOUT, json.dumps(self.about))
        row = np.zeros(1, _ROW)
        with (folder / _PIXELS).open("ab") as file:
            start = file.tell()
            try:
                file.write(data.data)
                file.flush()
            except OSError:
                os.truncate(file.fileno(), start)
                raise
        row["key"], row["offset"], row["shape"], row["pixels"] = np.void(key), start, data.shape, checksum
        row["row"] = _sum_of_row(row[0])
        with (folder / _ROWS).open("ab") as file:
            os.truncate(file.fileno(), file.tell() // _ROW.itemsize * _ROW.itemsize)  # what a killed process began
            file.write(row.tobytes())

    def _checked(self, key: bytes) -> Pixels | None:
        if key not in self._found:
            self._look()
        row = self._found.get(key)
        if row is None:
            return None
        shape = tuple(int(side) for side in row["shape"])
        try:
            pixels = self._mapped(int(row["offset"]), math.prod(shape))
        except (OSError, ValueError):  # removed, or cut
            return None
        if len(pixels) != math.prod(shape) or zlib.crc32(pixels.data) != row["pixels"]:
            del self._found[key]  # damaged: decoded, and added anew
            self._windows = {}  # or of a file that was removed
            return None
        self._sound[key] = pixels.reshape(shape)
        return self._sound[key]

    def _mapped(self, offset: int, size_bytes: int) -> Pixels:
        begin = offset // _WINDOW_BYTES * _WINDOW_BYTES
        start, end = offset - begin, offset - begin + size_bytes
        if len(self._windows.get(begin, ())) < end:
            with (PLACE / self.name / _PIXELS).open("rb") as file:
                there = os.fstat(file.fileno()).st_size - begin
                # Copy on write: torch wants writable memory, and what nobody writes stays shared with the file.
                window = np.memmap(file, np.uint8, "c", begin, (min(there, max(_WINDOW_BYTES, end)),))
            self._windows[begin] = np.asarray(window)
        return self._windows[begin][start:end]

    def _look(self) -> None:
        """Read the rows that have been added since the last look."""
        try:
            with (PLACE / self.name / _ROWS).open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino != self._inode or about.st_size < self._read_bytes:  # removed, and begun anew
                    self._found, self._windows, self._read_bytes, self._inode = {}, {}, 0, about.st_ino
                file.seek(self._read_bytes)
                data = file.read()
        except OSError:
            self._found, self._windows, self._read_bytes = {}, {}, 0
            return
        rows = np.frombuffer(data[: len(data) // _ROW.itemsize * _ROW.itemsize], _ROW)
        self._read_bytes += rows.nbytes
        for row in rows:
            if row["row"] == _sum_of_row(row):
                self._found[row["key"].tobytes()] = row


def _sum_of_row(row: Any) -> int:
    return zlib.crc32(row.tobytes()[: -_ROW["row"].itemsize])


def used_bytes() -> int:
    """Return what all entries take on the disk."""
    return sum(_size_of(path) for path in PLACE.glob(f"*/{_PIXELS}"))


def room(limit_bytes: int) -> int:
    """Return how many bytes may be added: up to the limit, and to half of what the disk would have free without all."""
    used = used_bytes()
    PLACE.mkdir(parents=True, exist_ok=True)
    return max(0, min(limit_bytes - used, (shutil.disk_usage(PLACE).free - used) // 2))


def entries() -> list[Entry]:
    """List the entries, the oldest first; their shape is the number of pictures."""
    found = []
    for folder in PLACE.glob("*/"):
        files = [folder / name for name in (_ABOUT, _ROWS, _PIXELS)]
        try:
            about = dict(json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
            shape: tuple[int, ...] = (_size_of(folder / _ROWS) // _ROW.itemsize,)
        except (OSError, ValueError, TypeError):
            about, shape = {}, ()
        written_s = max((path.stat().st_mtime for path in files if path.exists()), default=0.0)
        found.append(Entry(folder.name, about, shape, sum(_size_of(path) for path in files), written_s))
    return sorted(found, key=lambda entry: (entry.written_s, entry.name))


def remove(name: str) -> None:
    """Remove an entry; a run that has mapped it keeps what it sees, and begins another.

    Raises:
        TlearnError: A run is adding to it, or it cannot be deleted.
    """
    folder = PLACE / name
    try:
        with FileLock(_lock_of(name), timeout=1):
            for path in (folder / _ROWS, folder / _PIXELS, folder / _ABOUT):  # no row without its pixels
                path.unlink(missing_ok=True)
            shutil.rmtree(folder)
    except Timeout as error:
        raise TlearnError(f"{name}: a run is writing it now; try again when it has") from error
    except OSError as error:
        raise TlearnError(f"cannot delete {folder.absolute()} ({error.strerror}); make the folder writable") from error


def _lock_of(name: str) -> Path:
    PLACE.mkdir(parents=True, exist_ok=True)
    return PLACE / f"{name}.lock"


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
