"""Which files of a set cannot be read, and why, in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tlearn.base.next_command import command_line
from tlearn.data.decoding.samples import lacks_extra
from tlearn.data.files.exclusions import EXCLUSIONS

_SHOWN = 10
_LEAVE_OUT = "--data.init_args.on_error skip leaves them out of this run"


def told_of_all(bad: Mapping[int, str], count: int, root: Path, names: Sequence[str], split: str, source: Path) -> str:
    """Name the files that cannot be read; the only reason of many files is said once.

    Args:
        bad: Position of a file to the reason.
        count: How many files there are.
        root: The folder that names are relative to.
        names: Those of all files.
        split: Its name.
        source: The folder or table that the doctor looks at.
    """
    places = [str((root / names[number]).absolute()) for number in bad]
    reasons = list(bad.values())
    if len(set(reasons)) == 1 and len(bad) > 1 and (len(bad) == count or len(bad) > _SHOWN):
        told = f"{reasons[0]} ({places[0]} and {len(bad) - 1} more)"
    else:
        shown = [f"{place} ({reason})" for place, reason in list(zip(places, reasons, strict=True))[:_SHOWN]]
        told = ", ".join(shown) + (f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")
    doctor = f"{command_line('doctor', source, '--fix')} puts them on a list to leave out, "
    doctors = "" if any(map(lacks_extra, reasons)) else doctor  # which lists no good file
    way = "" if len(bad) == count else f"; {doctors}{_LEAVE_OUT}"
    return f"{len(bad)} of {count} {split} pictures cannot be read: {told}{way}"


def told_of_none_left(bad: Mapping[int, str], excluded: int, count: int, root: Path, split: str) -> str:
    """Say that no file of a split is left: so many are on the exclusion list, the others cannot be read."""
    left_out = f"{excluded} of them on the list {EXCLUSIONS}, {len(bad)} unreadable{told_of_reasons(bad)}"
    return f"no {split} images left in {root.absolute()}: {count} files, {left_out}"


def told_of_reasons(bad: Mapping[int, str], most: int = 2) -> str:
    """Count the most frequent reasons, in brackets; empty for no file."""
    counts = Counter(bad.values()).most_common()
    told = ", ".join(f"{reason} {count}" for reason, count in counts[:most])
    more = f" and {len(counts) - most} other reasons" if len(counts) > most else ""
    return f" ({told}{more})" if told else ""
