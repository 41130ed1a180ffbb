"""Files that a user asks for: checked before the work, and seen whole or not at all. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from tlearn.errors import TlearnError


def check_folder_of(out: Path) -> None:
    """Check, before any work, that the folder of the file that ``--out`` names is there.

    Raises:
        TlearnError: It is not.
    """
    folder = out.absolute().parent
    if not folder.is_dir():
        raise TlearnError(f"--out {out}: the folder {folder} does not exist; make it first")


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that no half of it is ever seen."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
