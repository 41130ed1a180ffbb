"""Features and maps on disk under ``.cache/tlearn``: written whole or not at all, checked before use. N images.

Features are float32 (N, D). Maps are (N, ...), float32 or bfloat16; numpy has no bfloat16, so its bits lie there as
uint16. What reads them is told by whoever asks, and by the entry's name.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from tlearn.base.errors import TlearnError
from tlearn.base.files import whole_file

FOLDER = Path(".cache/tlearn")
_WITHOUT = "train without: --model.feature_cache off"
Features = NDArray[np.float32]
Rows = NDArray[Any]  # float32, or uint16 that holds bfloat16
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError)  # or made by somebody else


@dataclass(frozen=True)
class Entry:
    """What lies in the store under one name.

    Attributes:
        name: 32 hexadecimal digits, as `key_of` returns them.
        about: What the features were made from; empty where the entry is damaged.
        shape: (N, D) of features, (N, ...) of maps, likewise.
        size_bytes: On disk.
        written_s: Seconds since 1970.
    """

    name: str
    about: Mapping[str, Any]
    shape: tuple[int, ...]
    size_bytes: int
    written_s: float


def key_of(about: Mapping[str, Any]) -> str:
    """Hash everything that shaped the features: any difference is another entry."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def load(about: Mapping[str, Any]) -> Features | None:
    """Map features into memory, (N, D); ``None`` where there are none, or where they are damaged."""
    found = load_rows(about)
    return found if found is not None and found.dtype == np.float32 and found.ndim == 2 else None


def load_rows(about: Mapping[str, Any]) -> Rows | None:
    """Map an entry of any shape into memory, (N, ...); ``None`` where there is none, or where it is damaged."""
    path = FOLDER / f"{key_of(about)}.npy"
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record["sha256"]:
                return None
        # Copy on write: torch wants writable memory, and what nobody writes stays shared with the file.
        rows: Rows = np.load(path, mmap_mode="c", allow_pickle=False)
    except _DAMAGED:
        return None
    return rows if rows.dtype in (np.float32, np.uint16) and rows.ndim >= 2 else None


def holds(about: Mapping[str, Any]) -> bool:
    """Tell whether an entry lies there; its contents are not checked, `load_rows` does that."""
    path = FOLDER / f"{key_of(about)}.npy"
    return path.is_file() and path.with_suffix(".json").is_file()


def fill(about: Mapping[str, Any], shape: tuple[int, int], chunks: Iterable[Features], renew: bool) -> Features:
    """Write features, see `fill_rows`."""
    return fill_rows(about, shape, np.dtype(np.float32), chunks, renew)


def fill_rows(
    about: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any], chunks: Iterable[Rows], renew: bool
) -> Rows:
    """Write an entry from its chunks, unless another process has done so meanwhile, and map it.

    Args:
        about: What the rows were made from; its hash names the entry.
        shape: (N, ...).
        dtype: float32, or uint16 that holds bfloat16.
        chunks: (n, ...) each, N rows in all; computed only where they are needed.
        renew: Write even where a sound entry lies.

    Raises:
        TlearnError: The folder cannot be written.
    """
    path = FOLDER / f"{key_of(about)}.npy"
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = None if renew else load_rows(about)
            if not fits(found, shape, dtype):
                _write(path, about, shape, dtype, chunks)
                found = load_rows(about)
    except OSError as error:
        raise TlearnError(
            f"cannot write features to {FOLDER.absolute()} ({error.strerror}); make it writable, or train without: "
            "--model.feature_cache off"
        ) from error
    if found is None:
        raise TlearnError(f"{path.absolute()} changed while it was written; run again")
    return found


def fits(found: Rows | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether what was found is what was looked for: a file of another shape is not ours."""
    return found is not None and found.shape == shape and found.dtype == dtype


def entries() -> list[Entry]:
    """List what lies there, the oldest first; contents are not checked, `load` does that."""
    names = {path.stem for suffix in ("npy", "json") for path in FOLDER.glob(f"[!.]*.{suffix}")}
    return sorted((_entry(name) for name in names), key=lambda entry: (entry.written_s, entry.name))


def remove(name: str) -> None:
    """Remove an entry; a run that has mapped it keeps what it sees.

    Raises:
        TlearnError: A run is writing it, or it cannot be deleted.
    """
    path = FOLDER / f"{name}.npy"
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            for suffix in (".json", ".npy"):
                path.with_suffix(suffix).unlink(missing_ok=True)
    except Timeout as error:
        raise TlearnError(f"{name}: a run is writing it now; try again when it has") from error
    except OSError as error:
        raise TlearnError(f"cannot delete {path.absolute()} ({error.strerror}); make the folder writable") from error


def _entry(name: str) -> Entry:
    files = [path for suffix in (".npy", ".json") if (path := FOLDER / f"{name}{suffix}").exists()]
    sizes = [path.stat() for path in files]
    try:
        about = dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["about"])
        shape = np.load(FOLDER / f"{name}.npy", mmap_mode="r", allow_pickle=False).shape
    except _DAMAGED:
        about, shape = {}, ()
    return Entry(name, about, shape, sum(s.st_size for s in sizes), max((s.st_mtime for s in sizes), default=0.0))


def _write(
    path: Path, about: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any], chunks: Iterable[Rows]
) -> None:
    for left in FOLDER.glob(f".{path.stem}.*"):
        left.unlink()  # of a process that was killed: the lock is ours
    header, digest = _header(shape, dtype), hashlib.sha256()
    needs_bytes = len(header) + dtype.itemsize * math.prod(shape)
    # The inner one gets its name first: until the other has, the checksum does not fit and the entry counts as damaged.
    with (
        whole_file(path.with_suffix(".json"), instead=_WITHOUT) as record,
        whole_file(path, needs_bytes, instead=_WITHOUT) as partial,
    ):
        # Not a memory map: a full disk would kill the process instead of raising.
        with partial.open("wb") as file:
            for part in itertools.chain([header], (chunk.tobytes() for chunk in chunks)):
                file.write(part)
                digest.update(part)
        record.write_text(json.dumps({"sha256": digest.hexdigest(), "about": about}), encoding="utf-8")


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    header = io.BytesIO()
    described = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()
