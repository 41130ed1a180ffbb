"""Move a file to another folder, never over another file."""

from __future__ import annotations

import os
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.base.files import known_disk_fault


def move_file(root: Path, source: str, target: str) -> None:
    """Rename a file, never over another one.

    Raises:
        TlearnError: A file is there, or the disk refuses.
    """
    old, new = root / source, root / target
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.is_symlink():
            _move_link(old, new)
            return
        try:
            os.link(old, new)  # a rename would replace what another program has just put there
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links
            if is_there(new):
                raise FileExistsError from None
            old.rename(new)
            return
        old.unlink()
    except FileExistsError as error:
        raise TlearnError(f"{new.absolute()} is there by now; nothing is overwritten: plan the moves anew") from error
    except OSError as error:
        raise TlearnError(known_disk_fault(error) or f"cannot move {old.absolute()}: {error.strerror}") from error


def _move_link(old: Path, new: Path) -> None:
    goal = old.readlink()
    if not goal.is_absolute():
        goal = Path(os.path.relpath(old.parent.resolve() / goal, new.parent.resolve()))
    new.symlink_to(goal)
    old.unlink()


def is_there(path: Path) -> bool:
    """Tell whether a path is taken, also by a link to nothing."""
    return os.path.lexists(path)


def remove_if_empty(folder: Path, root: Path) -> None:
    """Remove a folder, and those above it below the root, where nothing is left in them."""
    while folder != root and folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
