"""Configs: YAML files, those that ship with tlearn, and mappings given from Python."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.program import program
from tlearn.cli.safe_yaml import LONGEST, TOO_DEEP, check_size, check_text, load_yaml

ADVISED = "advised.yaml"  # what `advise` writes, unless another name is typed
_PACKAGE = Path(__file__).parents[1]
_GROUPS = ("--trainer", "--model", "--data")  # options that also take a file


class Config:
    """A config of a command, read once, when its content is first needed.

    Args:
        source: The path of a YAML file, or a nested mapping.

    Attributes:
        path: The file; ``None`` for a mapping.
    """

    def __init__(self, source: Path | Mapping[str, Any]) -> None:
        self._source = source
        self.path = source if isinstance(source, Path) else None

    @cached_property
    def content(self) -> dict[str, Any]:
        """The content as plain values; do not change it.

        Raises:
            TlearnError: See `read_config`; of a mapping, a value that no config can hold.
        """
        if isinstance(self._source, Path):
            return read_config(self._source)
        content = json.loads(as_json(self._source, "config"))
        check_size(content)
        return _checked(content, self)

    @property
    def name(self) -> str:
        """The name of its runs."""
        return self.path.stem if self.path else "default"

    @property
    def word(self) -> str:
        """The option that gives it to the parser, which reads a file itself and takes JSON in place of a path."""
        return f"--config={self._source if isinstance(self._source, Path) else json.dumps(self.content)}"

    def without(self, key: str) -> Config:
        """Return a config of the same name without one of its parts."""
        stripped = Config({name: value for name, value in self.content.items() if name != key})
        stripped.path = self.path
        return stripped

    def __str__(self) -> str:
        """Return the path, for messages."""
        return str(self.path or "the config")

    def refuse_verbs(self, verbs: Collection[str]) -> None:
        """Refuse a config that is nested under a verb, as LightningCLI's own are.

        Raises:
            TlearnError: A top-level key is one of the verbs; or see `content`.
        """
        if nested := next((key for key in self.content if key in verbs), None):
            raise TlearnError(f"{self}: the config stands under '{nested}:'; remove that line and one level of indent")


def as_json(value: Any, name: str) -> str:
    """Write a value from Python as JSON, which is YAML that every reader understands alike; a path becomes text.

    Args:
        value: Text, number, truth value, ``None``, path, or a list or mapping of these.
        name: The name of the value, for the message.

    Raises:
        TlearnError: It holds anything else.
    """

    def plain(other: Any) -> str:
        if isinstance(other, Path):
            return str(other)
        raise TypeError(f"a {type(other).__name__} ({one_line(repr(other), 80)})")

    try:
        return json.dumps(value, default=plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TlearnError(
            f"{name}: expected text, numbers, true or false, None, paths, or lists and mappings of these, got {error}"
        ) from error


def configs_folder() -> Path:
    """Return where the shipped configs lie: in the wheel beside the code, in a checkout at the top level."""
    packed = _PACKAGE / "configs"
    return packed if packed.is_dir() else _PACKAGE.parent / "configs"


def shipped_configs() -> list[str]:
    """List the names that ``--config`` knows, such as ``finetune.yaml``."""
    folder = configs_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """Return the path of a config: an existing file wins, otherwise the one that ships under this name.

    Raises:
        TlearnError: Neither exists; the absolute path that was tried and the shipped names are listed.
    """
    path = Path(name).absolute()
    if path.is_file():
        return path
    shipped = configs_folder() / name
    if shipped.is_file():
        return shipped
    if path.is_dir():
        raise TlearnError(f"--config {path} is a folder, expected a YAML file")
    if path.name == ADVISED:
        raise TlearnError(f"no {ADVISED} here ({path}); it is written by `{program()} advise my_pictures`")
    raise TlearnError(f"{unknown('config', name, shipped_configs())} (no file at {path})")


def read_config(path: Path) -> dict[str, Any]:
    """Read a config as plain values.

    Raises:
        TlearnError: Not YAML, a key that stands twice or for nothing, empty, or no mapping.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = load_yaml(file.read(LONGEST + 1))
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "not YAML"
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        tab = " (a tab: indent with spaces)" if "\\t" in problem else ""
        raise TlearnError(f"{path}{where}: {problem}{tab}") from error
    except (UnicodeDecodeError, OSError) as error:
        raise TlearnError(f"{path} cannot be read as UTF-8 text: {error}") from error
    except TlearnError as error:
        raise TlearnError(f"{path}: {error}") from error
    except RecursionError as error:
        raise TlearnError(f"{path}: {TOO_DEEP}") from error
    except Exception as error:  # a date without a month, a number of thousands of digits: the reader's own faults
        raise TlearnError(f"{path}: {one_line(error, 120)}") from error
    return _checked(content, path)


def _checked(content: Any, path: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        kind = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise TlearnError(f"{path} {kind}; expected a mapping with the keys trainer, model, data")
    if twice := doubled(key for key, _ in leaves(content)):
        raise TlearnError(f"{path}: {twice} stands twice, once written with a dot; drop one")
    return content


def check_typed(option: str, value: str) -> None:
    """Refuse YAML behind an option, or a file of it that is named there, if a key stands in it twice or for nothing.

    Args:
        option: For the message.
        value: As typed.

    Raises:
        TlearnError: One does, or the text is of a size that nobody writes.
    """
    if option in _GROUPS and value.endswith((".yaml", ".yml", ".json")) and Path(value).is_file():
        read_config(Path(value))
        return
    try:
        check_text(value)
    except TlearnError as error:
        raise TlearnError(f"{option}: {error}") from error


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its dotted key."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, config


def doubled(keys: Iterable[str]) -> str | None:
    """Return the first of several dotted keys that comes twice: ``a.b: 1`` beside ``a: {b: 2}``."""
    return next((key for key, times in Counter(keys).items() if times > 1), None)


_MEANT: dict[str, dict[str, Any]] = {"ImageTableDataModule": {"empty_labels": "no", "uncertain_labels": "error"}}


def with_older_options(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in options that came later and whose default is not what happened before there was an option.

    Args:
        config: The config in a checkpoint, as plain values.
    """
    model: Any = config.get("model")
    data: Any = config.get("data")
    if isinstance(model, dict):
        config = {**config, "model": {"in_channels": 3, **model}}
    given = data.get("init_args") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        return config
    meant = _MEANT.get(str(data.get("class_path")).rpartition(".")[2], {})
    return {**config, "data": {**data, "init_args": {**meant, **given}}}


def last_value(configs: list[dict[str, Any]], dotted: str) -> Any:
    """Return the value of a dotted option in the last of the configs that has it."""
    values = [dict(leaves(config)).get(dotted) for config in configs]
    return next((value for value in reversed(values) if value is not None), None)


def is_number(word: str) -> bool:
    """Tell whether a word is a number, which may begin with a dash as an option does."""
    try:
        float(word)
    except ValueError:
        return False
    return True
