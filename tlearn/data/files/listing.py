"""Find picture files and class folders by name; everything left out is counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.foreign_formats import EXTENSIONS, unread_by_name

# Left in folders by operating systems and archives. Names that begin with a dot are hidden anyway.
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})


@dataclass
class Found:
    """Picture files under a folder.

    Attributes:
        names: Paths relative to the folder with ``/``, sorted by code points within each folder.
        hidden: Number of hidden files and folders, with those of operating systems.
        skipped: Number of other files by lower-case extension.
        others: Paths of these other files.
    """

    names: list[str] = field(default_factory=list)
    hidden: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)

    @property
    def unread(self) -> list[str]:
        """Return the other files that a user takes for pictures, such as HEIC."""
        return [name for name in self.others if unread_by_name(name)]

    def without_unread(self) -> Found:
        """Return the same without `unread`."""
        others = [name for name in self.others if not unread_by_name(name)]
        return Found(self.names, self.hidden, Counter(Path(name).suffix.lower() for name in others), others)

    def left_out(self) -> str:
        """Say what is left out; empty for nothing."""
        parts = [f"ignored {number_of(self.hidden, 'hidden item')}"] if self.hidden else []
        if self.skipped:
            what = f"skipped {number_of(sum(self.skipped.values()), 'file')} without a picture's name"
            parts.append(f"{what}: {endings(self.others)}{remedies(self.others)}")
        return "; ".join(parts)


def endings(names: Iterable[str]) -> str:
    """Say how many files have each ending: ``.heic 6, .txt 1``."""
    counts = Counter(Path(name).suffix.lower() for name in names)
    return ", ".join(f"{kind or 'no extension'} {count}" for kind, count in sorted(counts.items()))


def remedies(names: Iterable[str]) -> str:
    """Say what to do about files that a user takes for pictures; empty for none."""
    told = {Path(name).suffix.lower(): what for name in names if (what := unread_by_name(name))}
    kinds = {what: [kind for kind, each in sorted(told.items()) if each == what] for what in told.values()}
    return "".join(f" ({', '.join(those)}: {what})" for what, those in kinds.items())


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name is hidden."""
    return name.startswith(".") or name.lower() in _LITTER


def find_pictures(folder: Path) -> Found:
    """List the picture files under a folder, at any depth. Links are followed, but no folder is listed twice."""
    found = Found()
    # A link to a parent folder would be followed for ever.
    seen = {os.path.realpath(folder), *(os.path.realpath(parent) for parent in folder.absolute().parents)}
    _walk(folder, "", found, seen)
    return found


def _walk(folder: Path, prefix: str, found: Found, seen: set[str]) -> None:
    for entry in _entries(folder):
        name = prefix + entry.name
        if is_hidden(entry.name):
            found.hidden += 1
        elif _is_folder(entry):
            place = os.path.realpath(entry.path)
            if place not in seen:
                seen.add(place)
                _walk(Path(entry.path), f"{name}/", found, seen)
        elif entry.name.lower().endswith(EXTENSIONS):
            found.names.append(name)
        else:
            found.skipped[Path(entry.name).suffix.lower()] += 1
            found.others.append(name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise TlearnError(f"cannot look into {folder.absolute()} ({error.strerror}); change its permissions") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which is reported when it is read
        return False


def class_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder that are not hidden, in the order of their code points."""
    return [entry.name for entry in _entries(folder) if _is_folder(entry) and not is_hidden(entry.name)]


def listed(names: Iterable[object], none: str = "none", most: int = 10) -> str:
    """Join the first names, and say how many more there are; ``none`` stands for an empty list."""
    every = [str(name) for name in names]
    return (", ".join(every[:most]) or none) + (f" and {len(every) - most} more" if len(every) > most else "")


def counts_of(labels: Iterable[int], class_names: list[str], most: int = 12) -> str:
    """Say how many of each class there are: ``cat 8, dog 8``."""
    counts = Counter(labels)
    shown = ", ".join(f"{name} {counts[number]}" for number, name in enumerate(class_names[:most]))
    return shown + (f", and {len(class_names) - most} more" if len(class_names) > most else "")


def counted(counts: Mapping[str, int]) -> str:
    """Say how many images each name has: ``fox (3 images)``."""
    return ", ".join(f"{name} ({number_of(count, 'image')})" for name, count in sorted(counts.items()))


def number_of(count: int, noun: str, plural: str = "") -> str:
    """Return ``1 file``, ``2 files``; ``plural`` is for nouns that take more than an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
