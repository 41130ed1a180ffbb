"""The one exception a user meets: one line that says what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TlearnError(Exception):
    """A fault the user can mend.

    The message is one line: what was expected, what came, what to do; it names the file or the key. The command line
    prints it to stderr and exits with 2, without a traceback unless ``TLEARN_DEBUG=1`` is set.
    """


class DivergedError(TlearnError):
    """A training whose loss is no number; of several, compared, it alone is left out."""


def one_line(text: object, most: int = 400) -> str:
    """Put what a library says, often over many lines, into one; an exception without a message gives its name."""
    said = str(text) or type(text).__name__
    return " ".join(said.split())[:most]


def unknown(kind: str, given: str, choices: Iterable[str]) -> TlearnError:
    """Build the error for a name that is not among the choices, with the nearest match first.

    Args:
        kind: What the name stands for, as a user would call it: ``layer``, ``config``.
        given: The name that came.
        choices: The names that would have been right, in the order to show them.
    """
    names = list(choices)
    near = get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return TlearnError(f"unknown {kind} '{given}'.{hint} Choices: {', '.join(names)}")
