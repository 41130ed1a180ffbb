"""The list of labels beside the pictures: what somebody decided on each of them. No picture is moved or renamed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from filelock import FileLock, Timeout

from tlearn.base.errors import TlearnError
from tlearn.base.files import known_disk_fault, plain_cell, safe_cell, write_whole
from tlearn.base.name_forms import path_form, visible
from tlearn.data.files.folder_layout import split_folder
from tlearn.data.files.listing import LOCK, class_folders

LABELS = "tlearn-labels.csv"
Kind = Literal["keep", "change", "exclude", "unsure", "label"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_BY_NAME: dict[str, Kind] = {kind: kind for kind in _KINDS}
_LABELLING = ("keep", "change", "label")
_PATIENCE_S, _POLL_S = 30.0, 0.002  # a page writes a row in a few ms, and a key must not wait longer
# A character that UTF-8 does not have: a byte of a file name that is no text. Or what stands for one, as text.
_NO_TEXT = re.compile(r"(\\*)(?:([\ud800-\udfff])|(u[dD][89a-fA-F][0-9a-fA-F]{2}))")
_ESCAPED = re.compile(r"(\\+)(u[dD][89a-fA-F][0-9a-fA-F]{2})")


class Decision(NamedTuple):
    """What somebody decided on a picture: a row of the list.

    Attributes:
        path: The picture, relative to the root, with ``/``.
        old: Its label by folder or table when that was decided; empty for an unlabelled picture.
        label: Its label from now on; empty for a picture that is left out, and where nobody is sure.
        decision: ``keep`` the label, ``change`` it, ``exclude`` the picture, ``unsure``, which changes nothing, or
            ``label`` a picture that had none.
        time: When, ISO 8601 in UTC. Empty: now, once it is written.
        doubt: Why somebody looked at it, such as ``self-confidence 0.93``.
    """

    path: str
    old: str
    label: str
    decision: Kind
    time: str = ""
    doubt: str = ""


class LabelList:
    r"""The file ``tlearn-labels.csv`` in the root of the pictures: one row per picture, the last decision on it.

    Several processes may write it at once: each change reads the file anew under a lock, and replaces it whole. UTF-8,
    comma. A text that a spreadsheet takes for a formula has ``'`` before it, and a byte of a file name that is no text
    is written as the text ``\udcff``.
    """

    def __init__(self, root: str | Path) -> None:
        """Read nothing yet.

        Args:
            root: The folder that the paths of the pictures are relative to.
        """
        self.path, self._is_tidy = Path(root) / LABELS, False
        self._known: tuple[bytes, dict[str, Decision]] = b"", {}  # what was read or written last: pages read often

    def read(self) -> dict[str, Decision]:
        """Return path -> the decision on it, in the order of the rows; empty without a list.

        Raises:
            TlearnError: The file is damaged; names the row.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TlearnError(known_disk_fault(error) or f"cannot read {self.path.absolute()}: {error}") from error
        known = self._known
        if data != known[0]:
            known = self._known = data, _parsed(data, self.path.absolute())
        return dict(known[1])

    def stamp(self) -> tuple[int, int, int]:
        """Return what is another one once anybody has written the list: inode, time and size; zeros without a list."""
        try:
            found = self.path.stat()
        except OSError:  # `read` says what is wrong
            return 0, 0, 0
        return found.st_ino, found.st_mtime_ns, found.st_size

    def decide(self, decisions: Sequence[Decision], instead_of: Iterable[str] = ()) -> None:
        """Write decisions; those that the list has on the same pictures are replaced.

        Args:
            decisions: The decisions.
            instead_of: Paths of other pictures whose decisions are taken off the list in the same step.

        Raises:
            TlearnError: A decision is none, the list is damaged, or it cannot be written.
        """
        new = [_checked(each, f"a decision on '{visible(each.path)}'") for each in decisions]
        new = [each if each.time else each._replace(time=now_utc()) for each in new]
        with self._locked():
            rows = _without(self.read(), [*(each.path for each in new), *instead_of])
            self._write([*rows.values(), *{path_form(each.path): each for each in new}.values()])

    def undo(self, paths: Iterable[str]) -> None:
        """Take the decisions on pictures off the list; those that it does not have are passed over.

        Raises:
            TlearnError: The list is damaged, or it cannot be written.
        """
        with self._locked():
            before = self.read()
            after = _without(before, paths)
            if len(after) < len(before):
                self._write(after.values())

    def _write(self, rows: Iterable[Decision]) -> None:
        by_path = {row.path: row for row in rows}
        text = "".join([_line(Decision._fields), *map(_line, by_path.values())])
        write_whole(self.path, text)
        self._known = text.encode(), by_path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.path.parent.is_dir():  # a lock would make it
            raise TlearnError(f"cannot write {self.path.absolute()}: there is no such folder")
        lock = FileLock(self.path.with_name(LOCK), timeout=_PATIENCE_S, mode=0o666, poll_interval=_POLL_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise TlearnError(
                f"another process has been writing {self.path.absolute()} for {_PATIENCE_S:g} s; end it, or try again"
            ) from error
        except OSError as error:
            raise TlearnError(
                known_disk_fault(error) or f"cannot write {self.path.absolute()}: {error.strerror}; see the folder"
            ) from error
        try:
            self._tidy()
            yield
        finally:
            lock.release()

    def _tidy(self) -> None:
        """Remove, once, what a process that was killed has left: the lock is ours."""
        if not self._is_tidy:
            for left in self.path.parent.glob(f".{LABELS}.*.partial"):
                left.unlink(missing_ok=True)
            self._is_tidy = True


def are_labels_listed(folder: Path) -> bool:
    """Tell whether a folder's list alone gives the labels: of pictures in no folder, or in folders that are no classes.

    Where a picture lies in a class folder, a row names that class; one that names none says that the folder is none.

    Raises:
        TlearnError: The list is damaged.
    """
    paths = [row.path for row in LabelList(folder).read().values() if row.decision == "label"]
    train = split_folder(folder, "train")
    if train is not None and class_folders(train):  # the class folders lie in those of the splits
        splits = {place.name for split in ("train", "val", "test") if (place := split_folder(folder, split))}
        paths = [path.partition("/")[2] if path.partition("/")[0] in splits else path for path in paths]
    return any("/" in path for path in paths) or (bool(paths) and not class_folders(folder))


def now_utc() -> str:
    """Return the time, as the list has it: ``2026-11-29T08:00:00Z``."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _without(rows: dict[str, Decision], paths: Iterable[str]) -> dict[str, Decision]:
    forms = {path_form(path) for path in paths}
    return {path: row for path, row in rows.items() if path_form(path) not in forms}


def _parsed(data: bytes, place: Path) -> dict[str, Decision]:
    rows, lines = dict[str, Decision](), dict[str, int]()
    line = 0
    try:
        text = data.decode("utf-8-sig")  # a spreadsheet begins it with a byte order mark
        delimiter = ";" if text.startswith("path;") else ","  # as it writes where the comma is in numbers
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for cells in reader:
            line += 1
            if line == 1:
                _check_header(cells, place)
            elif cells:
                row = _row_of(cells, f"{place}, row {line}")
                known = lines.setdefault(path_form(row.path), line)
                if known != line:
                    raise TlearnError(f"{place}, row {line}: the picture of row {known} again; remove one of them")
                rows[row.path] = row
    except UnicodeDecodeError as error:
        row_number = data[: error.start].count(b"\n") + 1
        raise TlearnError(f"{place}, row {row_number}: bytes that are no text in UTF-8; save it so") from error
    except csv.Error as error:
        raise TlearnError(f"{place}, row {line + 1}: not readable as CSV ({error}); mend or remove the row") from error
    return rows


def _check_header(cells: list[str], place: Path) -> None:
    if tuple(cell.strip() for cell in cells) != Decision._fields:
        got, expected = ",".join(cells), ",".join(Decision._fields)
        raise TlearnError(
            f"{place}, row 1: expected {expected}, got '{visible(got[:100])}'; mend the row, or remove the file"
        )


def _row_of(cells: list[str], where: str) -> Decision:
    if len(cells) != len(Decision._fields):
        raise TlearnError(f"{where}: {len(cells)} fields, expected {len(Decision._fields)}; mend or remove the row")
    path, old, label, decision, time, doubt = (_read(cell) for cell in cells)
    kind = _BY_NAME.get(decision.strip().lower())
    if kind is None:
        raise TlearnError(
            f"{where}: the decision is '{visible(decision[:100])}', expected {', '.join(_KINDS)}; mend the row"
        )
    return _checked(Decision(path, old, label, kind, time, doubt), where)


def _checked(row: Decision, where: str) -> Decision:
    """Return a decision with the label that follows from it.

    Raises:
        TlearnError: It names no picture, no decision or no label.
    """
    if not row.path:
        raise TlearnError(f"{where}: no path; name the picture, or remove the row")
    if row.decision not in _KINDS:
        raise TlearnError(f"{where}: the decision is '{visible(row.decision)}', expected {', '.join(_KINDS)}")
    if row.decision == "keep" and row.label not in ("", row.old):
        labels = f"'{visible(row.label)}' for '{visible(row.old)}'"
        raise TlearnError(f"{where}: keep, with the label {labels}; change is for that")
    label = "" if row.decision not in _LABELLING else row.old if row.decision == "keep" else row.label
    if row.decision in _LABELLING and not label:
        raise TlearnError(f"{where}: {row.decision} without a label; write one, or exclude or unsure")
    return row._replace(label=label)


@lru_cache(maxsize=2**16)
def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(_written, cells))  # ends lines as RFC 4180 has it, which quotes \r and \n in a name
    return text.getvalue()


def _written(cell: str) -> str:
    """Return a cell as it stands in the file."""
    is_plain = "\\" not in cell and cell.isascii()  # nearly all are, and a list may have many
    return str(safe_cell(cell if is_plain else _NO_TEXT.sub(_escape, cell)))


def _escape(match: re.Match[str]) -> str:
    slashes, byte, text = match.groups()
    if byte:
        return f"{2 * slashes}\\u{ord(byte):04x}"
    return f"{2 * slashes}{text}"


def _read(cell: str) -> str:
    """Return what was written into a cell."""
    text = plain_cell(cell)
    return _ESCAPED.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    slashes, text = match.groups()
    half = slashes[: len(slashes) // 2]
    return f"{half}{chr(int(text[1:], 16))}" if len(slashes) % 2 else f"{half}{text}"
