"""Wrap long lines at blanks where a terminal shows them, which would break them in the middle of a word."""

from __future__ import annotations

import os
import re
import textwrap
from typing import TextIO

from tlearn.base.program import MODULE

TEXT_COLUMNS = 79
_COMMAND = re.compile(rf"\bpip install \S+|\b(?:{MODULE}|tlearn) \S.*?(?=[;,)](?:\s|$)|$)")
_GLUE = "\0"  # in place of a blank at which no line is broken
_USUAL_COLUMNS = 80  # of a terminal that does not say its own


def wrapped(text: str, stream: TextIO) -> str:
    """Wrap at blanks each line of a text that is too long for the terminal on which the stream ends.

    A command in it, up to the next comma or semicolon, stays on one line, so that it can be copied and pasted. In a
    pipe or a file the text stays as it is, so that programs find one line where one was printed.

    Args:
        text: One line or more.
        stream: Where it will be written.
    """
    if not stream.isatty():
        return text
    columns = _columns(stream) - 1  # a line that fills the last one wraps on some terminals
    return "\n".join(line if len(line) <= columns else _fill(line, columns) for line in text.split("\n"))


def filled(text: str, columns: int = TEXT_COLUMNS) -> str:
    """Wrap each line of a text at blanks, in a pipe and a file too, and indent what continues it; words stay whole.

    Args:
        text: One line or more.
        columns: The most that a line has, unless a word is longer.
    """
    return "\n".join(
        textwrap.fill(line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def _fill(line: str, columns: int) -> str:
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), line)
    filled = textwrap.fill(
        glued, columns, expand_tabs=False, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace(_GLUE, " ")


def _columns(stream: TextIO) -> int:
    typed = os.environ.get("COLUMNS", "")
    if typed.isdecimal() and int(typed) > 1:
        return int(typed)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns if columns > 1 else _USUAL_COLUMNS
