"""Results of inspections in ``.cache/tlearn/pictures.sqlite``: only changed files are decoded again."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import PIL

from tlearn.base.feature_store import FOLDER

log = logging.getLogger(__name__)

_FILE = "pictures.sqlite"
_VERSION = 7  # of the columns; each version has a table of its own
_PATIENCE_S = 30  # another run may be writing
_COLUMNS = (
    *("path", "stamp", "error", "digest", "format", "mode", "width", "height", "perceptual_hash", "thumb"),
    *("turned_hashes", "bits", "jpeg_quality", "sample_type", "channels", "planes", "quantiles", "profile", "series"),
    "unmeasured",
)
_KINDS = (
    *(str, bytes, str, str, int, int, bytes, bytes, bytes),
    *(int, int, str, int, int, bytes, str, int, float),
)  # of the columns from error on
_LENGTHS = (8, 192, 48)  # of a good picture's hash, thumbnail and hashes turned
_HASH = _COLUMNS.index("perceptual_hash") - 2  # among the facts
_AT_ONCE = 500
_MISSING = "missing"


def stamp_of(path: Path, reading: str) -> str:
    """Return size, mtime, ctime, Pillow's version and how it is read; they differ if the file or that has changed.

    A copy with the old date, as rsync makes, keeps the mtime but not the ctime.
    """
    stamp = stamp_of_file(path)
    return stamp if stamp == _MISSING else f"{stamp} {PIL.__version__} {reading}"


def stamp_of_file(path: Path) -> str:
    """Return size, mtime and ctime of a file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # a ValueError: no file can have that name
        return _MISSING
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


class InspectionStore:
    """A table of inspections by path, for a ``with`` statement.

    It only saves time: if it cannot be used, a warning says so and every file is decoded.
    """

    def __enter__(self) -> Self:
        """Open or create the table."""
        self._database: sqlite3.Connection | None = None
        with self._tolerantly():
            FOLDER.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(FOLDER / _FILE, timeout=_PATIENCE_S)
            columns = ", ".join(_COLUMNS).replace("path", "path PRIMARY KEY")
            self._database.execute(f"CREATE TABLE IF NOT EXISTS facts_{_VERSION} ({columns}) WITHOUT ROWID")
        return self

    def __exit__(self, *fault: object) -> None:
        """Close the table."""
        if self._database is not None:
            self._database.close()

    def load(self, paths: Sequence[Path], stamps: Sequence[str]) -> list[tuple[Any, ...] | None]:
        """Return what is known of each file in its present state."""
        keys = [_key(path) for path in paths]
        rows: dict[bytes, tuple[Any, ...]] = {}
        with self._tolerantly():
            for part in (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)):
                marks = ",".join("?" * len(part))
                query = f"SELECT * FROM facts_{_VERSION} WHERE path IN ({marks})"
                if self._database is not None:
                    rows |= {row[0]: row for row in self._database.execute(query, part)}
        return [
            _from_row(rows[key]) if key in rows and rows[key][1] == stamp else None
            for key, stamp in zip(keys, stamps, strict=True)
        ]

    def save(self, found: Iterable[tuple[Path, str, tuple[Any, ...]]]) -> None:
        """Store inspections: path, stamp, values."""
        rows = [_to_row(path, stamp, facts) for path, stamp, facts in found]
        marks = ",".join("?" * len(_COLUMNS))
        with self._tolerantly():
            if self._database is not None:
                with self._database:
                    self._database.executemany(f"INSERT OR REPLACE INTO facts_{_VERSION} VALUES ({marks})", rows)

    @contextmanager
    def _tolerantly(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            path = FOLDER / _FILE
            log.warning("%s cannot be used (%s): pictures are looked at again next time", path.absolute(), error)
            if self._database is not None:
                self._database.close()
                self._database = None
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                with suppress(OSError):
                    path.unlink(missing_ok=True)  # not a database, or a damaged one; the next run makes another


def _key(path: Path) -> bytes:
    return os.fsencode(path.absolute())  # a name need not be text


def _to_row(path: Path, stamp: str, facts: tuple[Any, ...]) -> tuple[Any, ...]:
    hashed = facts[_HASH].to_bytes(8, "big")  # SQLite's integers have a sign
    return _key(path), stamp, *facts[:_HASH], hashed, *facts[_HASH + 1 :]


def _from_row(row: tuple[Any, ...]) -> tuple[Any, ...] | None:
    facts = row[2:]
    if tuple(map(type, facts)) != _KINDS or (not facts[0] and tuple(map(len, facts[_HASH : _HASH + 3])) != _LENGTHS):
        return None  # not written by tlearn
    return *facts[:_HASH], int.from_bytes(facts[_HASH], "big"), *facts[_HASH + 1 :]
