"""The verb ``completion``: what a shell evaluates to complete verbs, options and files, written by shtab."""

from __future__ import annotations

import argparse

import shtab

from tlearn.base.errors import TlearnError, unknown
from tlearn.cli.arguments import Arguments
from tlearn.cli.help.options import options_of, positionals_of
from tlearn.cli.help.show import VERBS

_SHELLS = ("bash", "zsh")
_PROGRAM = "tlearn"  # what a shell completes; ``python -m tlearn`` is completed as Python is
_PLACES = ("FILE", "DIR", "FOLDER", "RUN", "CONFIG", "PHOTOS")
_WORDS = {"cache": ("ls", "rm"), "completion": _SHELLS}  # of verbs that take words in place of files


def run(arguments: Arguments) -> None:
    """Print the script for a shell.

    Raises:
        TlearnError: No shell is named, or one that shtab or tlearn does not serve.
    """
    if len(arguments.options) != 1 or arguments.configs:
        raise TlearnError(f"expected completion {' or completion '.join(_SHELLS)}")
    print(completion_script(arguments.options[0]))


def completion_script(shell: str) -> str:
    """Return what a shell evaluates to complete the program.

    Raises:
        TlearnError: It is another shell.
    """
    if shell not in _SHELLS:
        raise unknown("shell", shell, _SHELLS)
    parser = argparse.ArgumentParser(_PROGRAM)
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers()
    for verb, what in VERBS.items():
        _add(verbs.add_parser(verb, help=what), verb)
    return str(shtab.complete(parser, shell))


def _add(parser: argparse.ArgumentParser, verb: str) -> None:
    if verb in _WORDS:
        parser.add_argument("word", choices=_WORDS[verb])
        return
    for option in options_of(verb):
        words = option.words.replace("%", "%%")
        if option.value is None:
            parser.add_argument(option.name, action="store_true", help=words)
            continue
        is_example = option.value.islower() and option.value.isalnum()
        added = parser.add_argument(option.name, choices=[option.value] if is_example else None, help=words)
        if option.value in _PLACES:
            added.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab reads it off the action
    if positionals_of(verb):
        parser.add_argument("places", nargs="*").complete = shtab.FILE  # type: ignore[attr-defined]  # likewise
