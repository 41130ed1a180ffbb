"""What inspections found, in ``.cache/tlearn/pictures.sqlite``: a file is decoded again only when it has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from tlearn.errors import TlearnError
from tlearn.feature_store import FOLDER

_FILE = "pictures.sqlite"
_VERSION = 1  # of what an inspection finds; another one is another table
_COLUMNS = ("path", "stamp", "error", "digest", "format", "mode", "width", "height", "perceptual_hash", "thumb")
_AT_ONCE = 500


def stamp_of(path: Path) -> str:
    """Tell a file from its later self: size, and the times of its content and of its entry.

    Copying with the old date, as rsync does, leaves the first time as it was, but not the second.
    """
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


class FactsStore:
    """A table of facts by absolute path; use it in a ``with`` statement."""

    def __enter__(self) -> Self:
        """Open it, or make it; a damaged one is replaced.

        Raises:
            TlearnError: The folder cannot be written to.
        """
        try:
            FOLDER.mkdir(parents=True, exist_ok=True)
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _not_writable(error) from error
            (FOLDER / _FILE).unlink()  # not a database, or a damaged one: it is a cache
            self._open()
        except OSError as error:
            raise _not_writable(error) from error
        return self

    def __exit__(self, *fault: object) -> None:
        """Close it."""
        self._database.close()

    def load(self, paths: Sequence[Path], stamps: Sequence[str]) -> list[tuple[Any, ...] | None]:
        """Return what is known of each file as it is now."""
        names = [str(path.absolute()) for path in paths]
        rows: dict[str, tuple[Any, ...]] = {}
        for part in (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)):
            marks = ",".join("?" * len(part))
            for row in self._database.execute(f"SELECT * FROM facts_{_VERSION} WHERE path IN ({marks})", part):
                rows[row[0]] = row
        return [
            _from_row(rows[name]) if name in rows and rows[name][1] == stamp else None
            for name, stamp in zip(names, stamps, strict=True)
        ]

    def save(self, found: Iterable[tuple[Path, str, tuple[Any, ...]]]) -> None:
        """Keep what was found in some files: path, stamp, facts.

        Raises:
            TlearnError: It cannot be written.
        """
        rows = [_to_row(path, stamp, facts) for path, stamp, facts in found]
        marks = ",".join("?" * len(_COLUMNS))
        try:
            with self._database:
                self._database.executemany(f"INSERT OR REPLACE INTO facts_{_VERSION} VALUES ({marks})", rows)
        except sqlite3.Error as error:
            raise _not_writable(error) from error

    def _open(self) -> None:
        self._database = sqlite3.connect(FOLDER / _FILE, timeout=60)
        with self._database:
            columns = ", ".join(_COLUMNS).replace("path", "path PRIMARY KEY")
            self._database.execute(f"CREATE TABLE IF NOT EXISTS facts_{_VERSION} ({columns}) WITHOUT ROWID")


def _to_row(path: Path, stamp: str, facts: tuple[Any, ...]) -> tuple[Any, ...]:
    *start, hashed, thumb = facts
    return str(path.absolute()), stamp, *start, hashed.to_bytes(8, "big"), thumb  # SQLite's integers have a sign


def _from_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *start, hashed, thumb = row[2:]
    return *start, int.from_bytes(hashed, "big"), thumb


def _not_writable(error: Exception) -> TlearnError:
    return TlearnError(f"cannot write {(FOLDER / _FILE).absolute()} ({error}); make the folder writable or free space")
