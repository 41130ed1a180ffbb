"""Find picture files and class folders by name; everything left out is counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.foreign_formats import is_picture_name, unread_by_name

LOCK = ".tlearn-labels.csv.lock"  # of the list of labels beside the pictures; nothing to tell anybody of
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

    def left_out(self) -> str:
        """Say what is left out that nobody takes for a picture; empty for nothing."""
        parts = [f"ignored {number_of(self.hidden, 'hidden item')}"] if self.hidden else []
        rest = [name for name in self.others if not unread_by_name(name)]
        if rest:
            parts.append(f"skipped {number_of(len(rest), 'file')} without a picture's name: {endings(rest)}")
        return "; ".join(parts)


def endings(names: Iterable[str]) -> str:
    """Say how many files have each ending: ``.heic 6, .txt 1``."""
    counts = Counter(Path(name).suffix.lower() for name in names)
    return ", ".join(f"{kind or 'no extension'} {count}" for kind, count in sorted(counts.items()))


def told_of_unread(names: Iterable[str], split: str = "") -> str:
    """Count the files that a user takes for pictures and that are not read, with what to do; empty for none.

    Args:
        names: Names of files.
        split: What the pictures are for.
    """
    kinds: dict[str, list[str]] = {}
    for name in names:
        if why := unread_by_name(name):
            kinds.setdefault(why, []).append(name)
    told = "; ".join(sorted(f"{endings(those)}: {why}" for why, those in kinds.items()))
    pictures, count = f"{split} picture".strip(), sum(map(len, kinds.values()))
    return f"{number_of(count, f'{pictures} is', f'{pictures}s are')} not read: {told}" if kinds else ""


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
        if entry.name == LOCK:
            continue
        if is_hidden(entry.name):
            found.hidden += 1
        elif _is_folder(entry):
            place = os.path.realpath(entry.path)
            if place not in seen:
                seen.add(place)
                _walk(Path(entry.path), f"{name}/", found, seen)
        elif is_picture_name(entry.name):
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
