"""The name of a class as somebody types it on a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical

_LONGEST = 100  # characters of a class name: file systems take 255 bytes
_RESERVED = "/\\"  # a class may become a folder


def checked_class(name: str, class_names: Sequence[str]) -> str:
    """Return the name of a class: a known one that is the same, or a new one.

    Raises:
        TlearnError: It cannot be the name of a class.
    """
    text = " ".join(name.split())
    known = {canonical(each): each for each in class_names}
    if canonical(text) in known:
        return known[canonical(text)]
    if not text or len(text) > _LONGEST:
        raise TlearnError(f"the name of a class: expected 1 to {_LONGEST} characters, got {len(text)}")
    is_odd = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
    if is_odd or any(letter in text for letter in _RESERVED) or text.startswith("."):
        raise TlearnError(
            f"the name of a class: expected one that a folder can have, without / and \\ and no dot first, got '{text}'"
        )
    return text
