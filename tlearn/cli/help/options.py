"""The options on a verb's page, read off it: for shell completion, and to compare them with the real parsers."""

from __future__ import annotations

import re
from typing import NamedTuple

from tlearn.cli.help.pages import page

_LINE = re.compile(r"  (--[\w.-]+)(?: ('[^']+'|\S+))?(?:  +(.*))?")
_DEFAULT = re.compile(r"\[([^][]+)\]$")


class Option(NamedTuple):
    """An option of a page.

    Attributes:
        name: With its dashes.
        value: What stands for its value: a word in capitals, or an example; ``None`` for a flag.
        words: What it does, in the first line.
        default: As the page has it, ``None`` where it has none.
    """

    name: str
    value: str | None
    words: str
    default: str | None


def options_of(verb: str) -> list[Option]:
    """Return the options on the page of a verb, in their order."""
    found = []
    for match in filter(None, map(_LINE.fullmatch, page(verb).splitlines())):
        name, value, words = match[1], match[2], match[3] or ""
        default = _DEFAULT.search(words)
        found.append(Option(name, value, _DEFAULT.sub("", words).strip(), default[1] if default else None))
    return found


def positionals_of(verb: str) -> list[str]:
    """Return the words without dashes in a verb's usage, such as ``RUN`` and ``PHOTOS``."""
    usage = page(verb).splitlines()[0].partition(f" {verb} ")[2].partition("[--")[0]
    return re.findall(r"[A-Z]\S*?(?=[\]\s]|$)", usage.partition(" --")[0])
