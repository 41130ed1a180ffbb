"""When two names are one: what a file system, a spreadsheet or pandas changes in a name without being asked."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable

# What no eye sees: zero-width blanks, soft hyphens, and the mark that files begin with.
_UNSEEN = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0xAD))
_WHOLE = re.compile(r"([+-]?\d+)\.0*")
_TRUTH = {"true": "True", "false": "False"}


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC): macOS stores the names of files decomposed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def visible(text: str) -> str:
    """Return a text with escapes for what no eye sees, or what would move a terminal's cursor."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def path_form(path: str) -> str:
    """Return the form in which paths in a list are compared, whether Windows, macOS or Linux wrote it.

    ``./cat.png`` is ``cat.png``.
    """
    form = composed(path).replace("\\", "/")
    return posixpath.normpath(form) if "./" in form or "//" in form else form


def canonical(name: object) -> str:
    """Return the form in which names are compared.

    macOS stores names decomposed (NFD), pandas makes ``1`` into ``1.0`` where a column has a gap, Excel writes ``TRUE``
    for ``True``, and web pages and sheets leave blanks of several kinds and widths. Those are one name. ``Cat`` and
    ``cat`` are two: somebody typed them.
    """
    text = " ".join(composed(str(name)).translate(_UNSEEN).split())
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else _TRUTH.get(text.lower(), text)


def same_name(one: object, other: object) -> bool:
    """Tell whether two names are one."""
    return canonical(one) == canonical(other)


def same_names(some: Iterable[object], others: Iterable[object]) -> bool:
    """Tell whether two lists hold the same names, in the same order."""
    return [canonical(name) for name in some] == [canonical(name) for name in others]


def looks(name: str) -> str:
    """Return what is left of a name without case, blanks, leading zeros and the kind of its characters.

    Names of which this is alike are told, and never taken for one.
    """
    text = "".join(unicodedata.normalize("NFKC", canonical(name)).casefold().split())
    return text.lstrip("0") or "0" if text.isdecimal() else text
