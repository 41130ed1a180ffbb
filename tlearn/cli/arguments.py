"""Split the command line, find its configs, and parse a verb's own options. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.next_command import command_line
from tlearn.cli.config_files import Config, check_typed, find_config, is_number

_CONFIG_OPTIONS = ("-c", "--config")
# Options that take no value: what follows one of them is a word of its own.
_FLAGS = ("--find_lr", "--no_find_lr", "--fix", "--open", "--yes", "--print_config", "--no-wait", "-h", "--help")

HELP_TOPICS = ("all", "data")


@dataclass(frozen=True)
class Target:
    """A folder of pictures or a table that stands behind the verb.

    Attributes:
        word: As typed.
        name: The name of its runs.
        configs: The configs that were typed beside it.
        options: The options that it stands for, which are the first of the command line.
        said: What becomes of the data of those configs, to be told.
    """

    word: str
    name: str
    configs: tuple[Config, ...] = ()
    options: tuple[str, ...] = ()
    said: str = ""


@dataclass
class Arguments:
    """A command line in parts.

    Attributes:
        verb: The first word, or ``None``.
        configs: The configs in the order given.
        options: All other words, in the order given.
        words: All of them as they were typed; none where a command is made up.
        own: Options that the verb knows beside those of ``fit``, such as ``--out``; for messages.
        where: Where the options stand, for messages.
        target: The pictures that were named without an option, if they were.
        data: A LightningDataModule that was given from Python, in place of one that an option names.
    """

    verb: str | None = None
    configs: list[Config] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    own: tuple[str, ...] = ()
    where: str = "on the command line"
    target: Target | None = None
    data: Any = None

    @property
    def run_name(self) -> str:
        """Name the run after the pictures, or after its first config."""
        named = self.target or next(iter(self.configs), None)
        return named.name if named else "default"

    @property
    def as_typed(self) -> str:
        """Return the command, ready to be typed again."""
        return command_line(*(self.words or [self.verb or "fit", *self.again()]))

    def again(self) -> list[str]:
        """Return the words behind the verb that mean the same."""
        configs, options = self.configs, self.options
        if target := self.target:
            configs, options = [*target.configs], [target.word, *options[len(target.options) :]]
        return [*(config.word for config in configs), *options]

    @property
    def help_topic(self) -> str | None:
        """Return what is asked behind ``--help``: ``all``, ``data``, nothing; ``None`` where no help is asked for."""
        for word, following in zip_longest(self.options, self.options[1:], fillvalue=""):
            if word in ("-h", "--help"):
                return following if following in HELP_TOPICS else ""
            if word.startswith(("--help=", "--help.")):
                return word[len("--help=") :]
        return None

    def value_of(self, option: str) -> str | None:
        """Return the last value given for ``--option value`` or ``--option=value``."""
        return next((value for name, value in reversed(self.pairs()) if name == option), None)

    def take_several(self, option: str) -> tuple[list[str], Arguments]:
        """Take out an option with all the words that follow it, as a shell makes several of ``*.png``.

        Returns:
            The words, none where the option is not given, and the command line without them.
        """
        found, kept, taking = list[str](), list[str](), False
        for word in self.options:
            name, given, value = word.partition("=")
            if name == option:
                found += [value] if given else []
                taking = not given
            elif taking and (word == "-" or not word.startswith("-")):
                found.append(word)
            else:
                kept.append(word)
                taking = False
        return found, replace(self, options=kept)

    def take_loose(self, several: Sequence[str] = ()) -> tuple[list[str], Arguments]:
        """Take out the words that are neither options nor the value of one.

        Args:
            several: Options that take all words that follow.
        """
        loose, kept, takes = list[str](), list[str](), 0
        for word in self.options:
            option, given, _ = word.partition("=")
            if word.startswith("-") and word != "-" and not is_number(word):
                takes = 0 if given or option in _FLAGS else len(self.options) if option in several else 1
                kept.append(word)
            elif takes:
                takes -= 1
                kept.append(word)
            else:
                loose.append(word)
        return loose, replace(self, options=kept)

    def pairs(self) -> list[tuple[str, str | None]]:
        """Return each option with its value, ``None`` where it has none; a word by itself is a pair with ``""``."""
        found: list[tuple[str, str | None]] = []
        for word in self.options:
            option, given, value = word.partition("=")
            if word.startswith("-") and not is_number(word):
                found.append((option, value if given else None))
            elif found and found[-1][1] is None and found[-1][0] not in _FLAGS:
                found[-1] = (found[-1][0], word)
            else:
                found.append(("", word))
        return found


class VerbParser(argparse.ArgumentParser):
    """The parent of all verbs' parsers: it takes the verb's own options and leaves the rest for `fit`'s parser.

    The help of a verb is one of `tlearn.cli.help.pages`.
    """

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False, exit_on_error=False)
        self._needs: dict[str, str] = {}

    def option(self, name: str, needs: str, type: Callable[[str], Any] = str, **about: Any) -> None:
        """Add an option that takes a value.

        Args:
            name: The option, such as ``--out``.
            needs: A description of its value for the error message, such as ``the name of a file to write``.
            type: Function from the text to the value. It raises `TlearnError` if the text is wrong.
            about: ``default`` and ``dest`` of `argparse`.
        """

        def read(text: str) -> Any:
            if not text:
                raise TlearnError(f"{name} needs {needs}")
            return type(text)

        self._needs[name] = needs
        self.add_argument(name, type=read, **about)

    def flag(self, name: str) -> None:
        """Add an option without a value, such as ``--fix``."""
        self.add_argument(name, action="store_true")

    def take(self, arguments: Arguments) -> tuple[argparse.Namespace, Arguments]:
        """Take the verb's own options out of a command line.

        Returns:
            The values, by option, and the command line without them.

        Raises:
            TlearnError: An option has no value, a wrong value, or, if it is a flag, any value.
        """
        try:
            found, rest = self.parse_known_args(arguments.options)
        except argparse.ArgumentError as error:
            name = error.argument_name or ""
            fault = f"needs {self._needs[name]}" if name in self._needs else "takes no value: type it, or leave it out"
            raise TlearnError(f"{name} {fault}") from error
        return found, replace(arguments, options=rest, own=(*arguments.own, *self._option_string_actions))


def positive_int(option: str) -> Callable[[str], int]:
    """Make the `type` of an option that takes a whole number from 1 on."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise TlearnError(f"{option}: expected a whole number from 1 on, got '{text}'")
        return int(text)

    return read


def folds_option(parser: VerbParser) -> None:
    """Let a verb take ``--folds K``, from 2 on; without it there are none."""
    name = "--folds"

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < 2:
            raise TlearnError(f"{name}: expected a whole number from 2 on, got '{text}'")
        return int(text)

    parser.option(name, "a number", read)


def one_of(option: str, choices: Sequence[str]) -> Callable[[str], str]:
    """Make the `type` of an option that takes one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise unknown(option, text, choices)
        return text

    return read


def with_own(options: Mapping[str, Any] | None, **own: Any) -> dict[str, Any]:
    """Add the arguments of a verb's own that are given to the options of a call from Python."""
    return {**(options or {}), **{name: value for name, value in own.items() if value is not None}}


def split_arguments(words: Sequence[str]) -> Arguments:
    """Split a command line: configs may stand before or behind the verb, typed options beat them wherever they stand.

    Raises:
        TlearnError: ``--config`` without a name, a config that does not exist, ``--``, or a value that names a key
            twice.
    """
    parts = Arguments(words=list(words))
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, given, value = _parted(word)
        if word == "--":
            raise TlearnError("-- ends no options here, and what stands behind it would not count; drop it")
        if option in _CONFIG_OPTIONS:
            if not given and not rest:
                raise TlearnError(f"{word} needs the name or the path of a config")
            parts.configs.append(Config(find_config(value if given else rest.pop(0))))
        elif parts.verb is None and not word.startswith("-"):
            parts.verb = word
        else:
            parts.options.append(word)
    for option, typed in parts.pairs():
        check_typed(option, typed or "")
    return parts


def _parted(word: str) -> tuple[str, str, str]:
    """Part an option from its value; ``-cNAME`` is ``-c=NAME``."""
    if word.startswith("-c") and word not in _CONFIG_OPTIONS and not word.startswith("-c="):
        return "-c", "=", word[2:]
    return word.partition("=")
