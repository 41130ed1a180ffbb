"""Paths in a table: of other machines, of Windows, outside of the root, and of missing files."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import composed
from tlearn.data.decoding.foreign_formats import is_picture_name
from tlearn.data.files.listing import number_of
from tlearn.data.files.unreadable import told_of_all

log = logging.getLogger(__name__)

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_Listing = dict[str, dict[str, list[str]]]
_SAMPLE = 1000  # paths by which the folders to cut off are chosen
_TELLS = {
    "\\": "with \\ for /",
    "blank": "with blanks around them",
    "elsewhere": "from another place",
    "case": "in another letter case",
    "form": "in another form of Unicode",
    "ending": "without the file's ending",
}


def is_of_windows(path: str) -> bool:
    """Tell whether a path begins with a drive or a server, as in Windows."""
    return _DRIVE.match(path) is not None


def found_paths(root: Path, paths: Sequence[str]) -> tuple[list[str], str]:
    """Return the paths relative to the root with the names on disk, and a sentence about what was changed.

    A path to a file is never changed. A path stays the same if no change, or more than one, leads to a file.
    """
    missing = [number for number, path in enumerate(paths) if not _is_there(root, path)]
    if not missing:
        return list(paths), ""
    found, changes, finder = list(paths), Counter[str](), _Finder(root)
    tails = _tails([paths[number].strip().replace("\\", "/") for number in missing], finder)
    for number, tail in zip(missing, tails, strict=True):
        name, kinds = finder.find(tail)
        if name is not None:
            found[number] = name
            changes.update(kinds | _changes(paths[number], tail))
    told = [f"{number_of(changes[kind], 'path')} {words}" for kind, words in _TELLS.items() if changes[kind]]
    return found, f"found {', '.join(told)}" if told else ""


def _changes(path: str, tail: str) -> set[str]:
    kinds = {"blank"} if path != path.strip() else set()
    if path.strip().replace("\\", "/") != tail:
        return kinds | {"elsewhere"}
    return kinds | ({"\\"} if "\\" in path else set())


def _tails(paths: Sequence[str], finder: _Finder) -> list[str]:
    """Cut off the folders of another machine, the same for all paths of a drive, so that most files are found.

    A beginning of relative paths is cut off only if then all of them are found.
    """
    tails, drives = list(paths), defaultdict[str, list[int]](list)
    for number, path in enumerate(paths):
        if _is_whole(path):
            drives[path[:2].upper() if is_of_windows(path) else "/"].append(number)
        elif finder.find(path)[0] is None:
            drives[""].append(number)
    for drive, every in drives.items():
        numbers = every[:: max(1, len(every) // _SAMPLE)]
        folders = _folders_of(paths[numbers[0]])
        counts = {
            folder: sum(
                paths[number].startswith(folder) and finder.find(paths[number][len(folder) :])[0] is not None
                for number in numbers
            )
            for folder in folders
        }
        most = max(counts.values(), default=0)
        best = [folder for folder in folders if counts[folder] == most]
        if (most if drive else most == len(numbers)) and len(best) == 1:
            for number in every:
                tails[number] = paths[number].removeprefix(best[0])
    return tails


def _folders_of(path: str) -> list[str]:
    """Return the folders that a path begins with, each with its ``/``."""
    return [path[: match.end()] for match in re.finditer("/+", path)]


def _is_whole(path: str) -> bool:
    return path.startswith("/") or is_of_windows(path)


def _is_there(root: Path, path: str) -> bool:
    return os.path.isfile(os.path.join(root, path))  # noqa: PTH113, PTH118  # takes a fifth of Path's time; a table may have a million rows


class _Finder:
    """Finds files by names of another form; each folder is listed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[str, _Listing] = {}

    def find(self, path: str) -> tuple[str | None, set[str]]:
        """Return the path on disk and in which ways it differs; ``None`` if there is no file, or more than one."""
        parts, place, kinds = [part for part in path.split("/") if part not in ("", ".")], "", set[str]()
        if _is_whole(path) or ".." in parts:
            return (path if _is_there(self.root, path) else None), kinds
        for number, part in enumerate(parts):
            name, kind = self._entry(place, part, is_last=number == len(parts) - 1)
            if name is None:
                return None, kinds
            place = f"{place}/{name}" if place else name
            kinds |= {kind} if kind else set()
        return (place if _is_there(self.root, place) else None), kinds

    def _entry(self, folder: str, part: str, is_last: bool) -> tuple[str | None, str]:
        listing = self._listed(folder)
        for kind, key in (("", part), ("form", composed(part)), ("case", composed(part).casefold())):
            names = listing[kind].get(key, [])
            if names:
                return (names[0] if len(names) == 1 else None), kind
        names = listing["ending"].get(composed(part), []) if is_last else []
        return (names[0] if len(names) == 1 else None), "ending"

    def _listed(self, folder: str) -> _Listing:
        if folder not in self._listings:
            self._listings[folder] = _listing_of(self.root / folder)
        return self._listings[folder]


def _listing_of(folder: Path) -> _Listing:
    """List a folder's entries by name, and by the name in each of the other forms."""
    listing: _Listing = {kind: defaultdict(list) for kind in ("", "form", "case", "ending")}
    try:
        entries = list(folder.iterdir())
    except OSError:
        return listing
    for entry in entries:
        listing[""][entry.name].append(entry.name)
        listing["form"][composed(entry.name)].append(entry.name)
        listing["case"][composed(entry.name).casefold()].append(entry.name)
        if is_picture_name(entry.name):
            listing["ending"][composed(entry.stem)].append(entry.name)
    return listing


_NO_FILE = os.strerror(errno.ENOENT)


def misplaced(faults: Mapping[str, str], count: int, root: Path) -> str:
    """Say that most files are missing, as with a wrong root; empty if most exist.

    Args:
        faults: Path as given -> why the file cannot be read.
        count: Number of all files.
        root: The folder that paths are relative to.
    """
    missing = missing_files(faults)
    if 2 * len(missing) <= count:
        return ""
    of_windows = next((name for name in missing if is_of_windows(name) or (os.sep == "/" and "\\" in name)), None)
    first = of_windows or missing[0]
    about = "a path of Windows" if of_windows else f"looked for at {(root / first).absolute()}"
    return (
        f"{len(missing)} of {number_of(count, 'picture')} do not lie under {root.absolute()}: the first is {first}, "
        f"{about}; give the folder that paths start from as data.init_args.root, or mend the paths"
    )


def refuse(
    split: str, names: Sequence[str], bad: Mapping[int, str], looked_at: int, root: Path, source: Path
) -> NoReturn:
    """Refuse files that cannot be read.

    Args:
        split: The split that they are in.
        names: Those of all its files.
        bad: Position of a file to the reason.
        looked_at: How many files were looked at.
        root: The folder that names are relative to.
        source: The folder or table that was given.

    Raises:
        TlearnError: Always.
    """
    told = misplaced({names[number]: why for number, why in bad.items()}, looked_at, root)
    if told:
        raise TlearnError(f"{split}: {told}")
    raise TlearnError(told_of_all(bad, len(names), root, names, split, source))


def missing_files(faults: Mapping[str, str]) -> Sequence[str]:
    """Return the files that do not exist."""
    return [name for name, why in faults.items() if why == _NO_FILE]


def warn_of_outside(table: Path, root: Path, paths: Sequence[str]) -> None:
    """Log which paths lead out of the root, which is right in one's own table but a risk in a stranger's.

    Neither ``..`` nor an absolute path is refused: good tables have both, as ``labels/a.csv`` with ``../images/1.jpg``.
    """
    within = Path(os.path.abspath(root))  # noqa: PTH100  # Path cannot resolve `..` without following links
    outside = [path for path in paths if not _lies_in(within, path)]
    if outside:
        log.warning(
            "%s: %s outside of %s, the first %s; a report would show them",
            *(table.absolute(), number_of(len(outside), "picture"), within, outside[0]),
        )


def _lies_in(folder: Path, path: str) -> bool:
    if not path.startswith("/") and ".." not in path and not Path(path).is_absolute():
        return True  # the quick way for nearly all paths
    return Path(os.path.normpath(folder / path)).is_relative_to(folder)
