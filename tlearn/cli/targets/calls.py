"""Make the command line of a call from Python, which takes the same targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlearn.cli.arguments import Arguments, with_own
from tlearn.cli.config_files import Config, as_json, check_typed, find_config
from tlearn.cli.targets.kinds import kind_of
from tlearn.cli.targets.settle import with_target


def arguments_of(
    verb: str, config: str | Path | Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None
) -> Arguments:
    """Make the command line of a call from Python.

    Args:
        verb: The verb, such as ``fit``.
        config: What stands behind the verb: a folder of pictures or a table, or a run, as the verb takes it; the path
            of a config, the name of one that ships with tlearn, or a nested mapping.
        options: Dotted names and values, such as ``{"trainer.max_epochs": 2}``; they beat the config.

    Raises:
        TlearnError: There is no such target or config, or a value that no option can hold.
    """
    words = option_words(options)
    if config is None:
        return Arguments(verb, [], words, where="in options")
    if is_config(config):
        return Arguments(verb, [config_of(config)], words, where="in options")
    word = str(config)
    words.insert(0, f"./{word}" if word.startswith("-") else word)
    return with_target(Arguments(verb, [], words, where="in options"))


def option_words(options: Mapping[str, Any] | None) -> list[str]:
    """Return the words of options that are given from Python.

    Raises:
        TlearnError: A value that no option can hold.
    """
    words = list[str]()
    for name, value in (options or {}).items():
        text = value if isinstance(value, str) else str(value) if isinstance(value, Path) else as_json(value, name)
        check_typed(f"--{name}", text)
        words.append(f"--{name}={text}")
    return words


def arguments_of_run(
    verb: str,
    config: str | Path | Mapping[str, Any] | None,
    options: Mapping[str, Any] | None,
    ckpt_path: str | Path | None,
) -> Arguments:
    """Make the command line of a call that takes a run; without `ckpt_path` it means the best checkpoint.

    Raises:
        TlearnError: See `arguments_of`; or no run.
    """
    if ckpt_path is None and (config is None or is_config(config)):
        ckpt_path = "best"
    return arguments_of(verb, config, with_own(options, ckpt_path=ckpt_path))


def is_config(source: str | Path | Mapping[str, Any]) -> bool:
    """Tell a config from a target of another kind."""
    return isinstance(source, Mapping) or kind_of(str(source)) == "config"


def config_of(source: str | Path | Mapping[str, Any]) -> Config:
    """Make a config of its path, the name of one that ships with tlearn, or a nested mapping.

    Raises:
        TlearnError: There is no such config.
    """
    return Config(source if isinstance(source, Mapping) else find_config(str(source)))
