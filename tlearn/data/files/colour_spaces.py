"""Say which picture files are of another colour space than sRGB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tlearn.data.decoding.colour import UNREADABLE_PROFILE
from tlearn.data.files.inspection import Inspection

_SHOWN = 3


def is_converted(facts: Inspection) -> bool:
    """Tell whether the colours of a file are converted to sRGB."""
    return facts.profile not in ("", UNREADABLE_PROFILE)


def converted_files(facts: Sequence[Inspection], what: str = "pictures") -> str:
    """Say how many files are converted, and from which spaces; empty if none is.

    Args:
        facts: Good files.
        what: What they are called.
    """
    spaces = Counter(each.profile for each in facts if is_converted(each)).most_common()
    if not spaces:
        return ""
    (first, count), *others = spaces
    told = [f"{count} of {len(facts)} {what} are {first}", *(f"{n} {name}" for name, n in others[: _SHOWN - 1])]
    rest = sum(n for _, n in others[_SHOWN - 1 :])
    return f"{', '.join(told)}{f', {rest} of other spaces' if rest else ''}: converted to sRGB"
