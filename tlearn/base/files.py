"""Files that a run leaves: checked before the work, seen whole or not at all. Imports nothing heavy."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError

ELSEWHERE = "write to another place"
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four are the wide forms of East Asia
_PROBE_BYTES = 2**16

# What a disk answers to whoever writes: what to call it, and how to mend it.
_FAULTS = {
    errno.ENOSPC: ("disk full", "free space there"),
    errno.EDQUOT: ("quota used up", "free space there"),
    errno.EFBIG: ("file too large for the limit (ulimit -f) or the disk", "raise the limit"),
    errno.EROFS: ("read-only disk", "make it writable"),
    errno.EACCES: ("no permission", "make the folder writable"),
    errno.EPERM: ("no permission", "make the folder writable"),
    errno.EIO: ("the disk fails", "look after it"),
}
# These also happen to whoever reads.
_ALSO_READING = (errno.EACCES, errno.EPERM)


def check_folder_of(out: Path) -> None:
    """Check, before any work, that ``--out`` names a file in a folder that is there.

    Raises:
        TlearnError: The folder is not there, or the file is a folder itself.
    """
    if out.is_dir():
        raise TlearnError(f"--out {out} is a folder, expected the name of a file")
    folder = out.absolute().parent
    if not folder.is_dir():
        raise TlearnError(f"--out {out}: the folder {folder} does not exist; make it first")


def safe_cell(cell: Any) -> Any:
    """Keep a text of a CSV file from being run: spreadsheets take what begins with ``=+-@`` for a formula.

    Args:
        cell: A text is written with ``'`` before it where one of these, a tab or a line's end begins it, as OWASP
            advises, also after other ``'``: a program that reads the file drops one ``'`` there and has the text again.
            Anything else is as it was.
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def plain_cell(cell: str) -> str:
    """Return the text that `safe_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, as `whole_file` does."""
    content = text.encode()
    with whole_file(path, len(content)) as partial:
        partial.write_bytes(content)


@contextmanager
def whole_file(path: Path, needs_bytes: int | None = None, instead: str = ELSEWHERE) -> Iterator[Path]:
    """Give a temporary name beside a file: what is written there takes the file's place when all of it is.

    Nothing is left of it after any fault; the file of that name, if there was one, is as it was.

    Args:
        path: The file.
        needs_bytes: How large it becomes, where that is known.
        instead: What a user may do where the disk cannot be helped.

    Raises:
        TlearnError: The disk is full, read-only, over its quota, or else refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        on_disk(partial)
        partial.replace(path)
    except Exception as error:
        fault = writing_fault(path, partial, error, needs_bytes, instead)
        if fault is None:
            raise
        raise fault from error
    finally:
        _remove(partial)


def on_disk(path: Path) -> None:
    """Wait until a file's content lies on the disk: a rename may reach it earlier, and a power cut leave nothing in it.

    Disks behind a network also tell only here that they are full.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot do it
            raise
    finally:
        os.close(handle)


def writing_fault(
    path: Path, partial: Path, error: Exception, needs_bytes: int | None = None, instead: str = ELSEWHERE
) -> TlearnError | None:
    """Say in one line why a file could not be written; ``None`` where it is not the disk's fault.

    Args:
        path: The file.
        partial: What was written in its place; libraries that keep the disk's answer for themselves have it asked anew.
        error: What came.
        needs_bytes: How large it would have become, where that is known.
        instead: What a user may do where the disk cannot be helped.
    """
    if isinstance(error, TlearnError):
        return None
    concerns = getattr(error, "filename", None) in (None, str(partial), str(path))
    sizes = [f"{_size(needs_bytes)} needed"] if needs_bytes is not None else []
    sizes += [f"{_size(partial.stat().st_size)} written"] if partial.is_file() else []
    number = error.errno if isinstance(error, OSError) else _number_in(error) or _answer_of_disk(partial)
    if number not in _FAULTS or not concerns:
        return None
    what, mend = _FAULTS[number]
    note = f" ({', '.join(sizes)})" if sizes else ""
    return TlearnError(f"{what}: cannot write {path.absolute()}{note}; {mend}, or {instead}")


def known_disk_fault(error: BaseException) -> str | None:
    """Put what a disk answered into one line; ``None`` for any other fault, or where it names no file."""
    if not isinstance(error, OSError) or error.errno not in _FAULTS:
        return None
    what, mend = _FAULTS[error.errno]
    if error.errno in _ALSO_READING:
        return f"{what}: {Path(os.fsdecode(error.filename)).absolute()}; see its rights" if error.filename else None
    place = Path(os.fsdecode(error.filename)).absolute() if error.filename else "what this run leaves"
    return f"{what}: cannot write {place}; {mend}, or {ELSEWHERE}"


def _number_in(error: Exception) -> int | None:
    """Find the disk's answer in the text of a library written in Rust."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else None


def _answer_of_disk(partial: Path) -> int | None:
    """Write a little more: a full disk says so again, under a number that means the same everywhere."""
    try:
        with partial.open("ab") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None


def _remove(partial: Path) -> None:
    try:
        if partial.is_file():
            os.truncate(partial, 0)  # gives the room back at once: an exception may hold the file open
        partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno != errno.EROFS:  # went read-only meanwhile, and that has been said
            raise


def large_size(size_bytes: int) -> str:
    """Write out a number of bytes, in megabytes or gigabytes."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes} bytes"
