"""Pictures that a client says were answered wrongly, kept with the wanted label in the folder of the run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from threading import Lock

from starlette.exceptions import HTTPException

from tlearn.base.errors import TlearnError
from tlearn.base.files import known_disk_fault, whole_file
from tlearn.data.decoding.foreign_formats import is_picture_name
from tlearn.data.labels.label_list import Decision, LabelList
from tlearn.pages.serve.options import MOST_CORRECTION_MB, MOST_CORRECTIONS

FOLDER = "corrections"
_STEM_CHARACTERS, _DIGEST_CHARACTERS = 60, 16
_KEPT = re.compile(rf"[\w.-]+-[0-9a-f]{{{_DIGEST_CHARACTERS}}}\.\w+")
_ANY_ENDING = ".png"  # the reader goes by what is inside


class Corrections:
    """The folder ``corrections`` of a run: pictures, and the list of their labels, as `review` and `fit` take them.

    Args:
        run: The run's folder.
        class_names: What a picture may be labelled as.
    """

    def __init__(self, run: Path, class_names: list[str]) -> None:
        self.folder, self._class_names = run / FOLDER, class_names
        self._lock = Lock()

    def keep(self, name: str, data: bytes, label: str, answered: str) -> str:
        """Keep a picture with its label; the same picture once more has the new label.

        Args:
            name: As the client calls it; the file's name begins with it, as far as it can be a name anywhere.
            data: The bytes of a picture that has been decoded.
            label: The wanted class.
            answered: The class that was answered.

        Returns:
            The name of the file.

        Raises:
            HTTPException: The label is no class of the run, or there are too many; statuses 400 and 507.
            TlearnError: The disk refuses, or the list is damaged.
        """
        if label not in self._class_names:
            raise HTTPException(400, f"label: expected a class of the run, got {label[:80]!r}")
        digest = hashlib.sha256(data).hexdigest()[:_DIGEST_CHARACTERS]
        doubt = f"answered {answered}" if answered in self._class_names else "answered unknown"
        with self._lock, self._faults_told():
            self.folder.mkdir(exist_ok=True)
            path = self._kept_before(digest) or self.folder / _file_name(name, digest)
            if not path.exists():
                self._check_room(len(data))
                with whole_file(path, len(data)) as partial:
                    partial.write_bytes(data)
            LabelList(self.folder).decide([Decision(path.name, "", label, "label", doubt=doubt)])
        return path.name

    def undo(self, file: str) -> None:
        """Take a picture out again.

        Raises:
            HTTPException: None of this name was kept; status 404.
            TlearnError: The disk refuses, or the list is damaged.
        """
        with self._lock, self._faults_told():
            found = LabelList(self.folder) if self.folder.is_dir() else None
            if found is None or not _KEPT.fullmatch(file) or file not in found.read():
                raise HTTPException(404, f"no correction {file[:80]!r} is kept")
            found.undo([file])
            (self.folder / file).unlink(missing_ok=True)

    def _kept_before(self, digest: str) -> Path | None:
        """Return the file of the same bytes, whatever they were called: a picture has one label."""
        found = (path for path in self.folder.glob(f"*-{digest}.*") if _KEPT.fullmatch(path.name))
        return next(found, None)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # the run was moved, or the disk refuses
            told = (
                known_disk_fault(error)
                or f"cannot change {self.folder}: {error.strerror}; see whether the run is there"
            )
            raise TlearnError(told) from error

    def _check_room(self, further_bytes: int) -> None:
        sizes = [path.stat().st_size for path in self.folder.iterdir() if _KEPT.fullmatch(path.name)]
        if len(sizes) >= MOST_CORRECTIONS or sum(sizes) + further_bytes > MOST_CORRECTION_MB * 2**20:
            raise HTTPException(
                507, f"{len(sizes):,} corrections are kept, which is all that fits; review them, and empty the folder"
            )


def _file_name(name: str, digest: str) -> str:
    """Return a name that is a file's on every system, and differs where the bytes do: nothing is overwritten."""
    given = PurePosixPath(name)
    stem = re.sub(r"[^\w.-]+", "_", given.stem, flags=re.ASCII).strip("._-")[:_STEM_CHARACTERS] or "picture"
    ending = given.suffix.lower()
    is_known = re.fullmatch(r"\.\w+", ending, re.ASCII) and is_picture_name(f"a{ending}")
    return f"{stem}-{digest}{ending if is_known else _ANY_ENDING}"
