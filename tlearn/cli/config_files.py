"""Find a config by path or by the name it ships under. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.cli.key_faults import KeyFaultError, check_keys, doubled

_PACKAGE = Path(__file__).parents[1]
_MOST_VALUES = 100_000  # class names of the largest data sets, and then some
_LONGEST = 1_000_000  # characters
_DEEPEST = 100
_SURELY_SMALL = 1000  # characters, without an alias
_GROUPS = ("--trainer", "--model", "--data")  # options behind which a file may stand
_TOO_DEEP = "nested too deeply; write it flatter"


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
    raise TlearnError(f"{unknown('config', name, shipped_configs())} (no file at {path})")


def read_config(path: Path, verbs: Collection[str] = ()) -> dict[str, Any]:
    """Read a config as plain values.

    Args:
        path: The file.
        verbs: Words that a config must not be nested under.

    Raises:
        TlearnError: Not YAML, a key that stands twice or for nothing, empty, no mapping, or nested under a verb.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = _plain(file.read(_LONGEST + 1))
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
        raise TlearnError(f"{path}: {_TOO_DEEP}") from error
    except Exception as error:  # a date without a month, a number of thousands of digits: the reader's own faults
        raise TlearnError(f"{path}: {one_line(error, 120)}") from error
    return _checked(content, path, verbs)


def _checked(content: Any, path: Path, verbs: Collection[str]) -> dict[str, Any]:
    if not isinstance(content, dict):
        kind = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise TlearnError(f"{path} {kind}; expected a mapping with the keys trainer, model, data")
    nested = [key for key in content if key in verbs]
    if nested:
        raise TlearnError(f"{path}: the config stands under '{nested[0]}:'; remove that line and one level of indent")
    if twice := doubled(key for key, _ in leaves(content)):
        raise TlearnError(f"{path}: {twice} stands twice, once written with a dot; drop one")
    return content


def _plain(text: str) -> Any:
    """Read YAML as plain values, once it is known to be of a size that anybody writes: aliases multiply.

    Raises:
        TlearnError: It is not.
        KeyFaultError: A mapping names a key twice, or leaves a block empty.
    """
    if len(text) > _LONGEST:
        raise TlearnError(f"more than {_LONGEST:,} characters; make it smaller")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        check_size(node)
        check_keys(node, loader)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def check_text(text: str) -> None:
    """Refuse YAML of a size that nobody writes, or with a key twice or for nothing, before somebody else reads it.

    All other faults are that reader's to name.

    Raises:
        TlearnError: It is too long, has too many values, is nested too deeply, or a key is twice or for nothing.
    """
    if "&" not in text and len(text) < _SURELY_SMALL and ":" not in text:
        return
    with suppress(yaml.YAMLError):
        try:
            _plain(text)
        except KeyFaultError as error:
            raise TlearnError(error.problem) from error
        except RecursionError as error:
            raise TlearnError(_TOO_DEEP) from error
        except ValueError:
            return


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


def check_size(value: Any) -> None:
    """Refuse a config that has too many values, or is nested too deeply, once every alias stands for what it repeats.

    Args:
        value: Nodes of YAML, or plain values.

    Raises:
        TlearnError: It has.
    """
    if _count(value, {}, 0) > _MOST_VALUES:
        raise TlearnError(
            f"more than {_MOST_VALUES:,} values, its aliases counted as what they repeat; make it smaller"
        )


def _count(value: Any, known: dict[int, int], depth: int) -> int:
    if depth > _DEEPEST:
        raise TlearnError(_TOO_DEEP)
    inner = value.value if isinstance(value, yaml.CollectionNode) else value
    if not isinstance(inner, (dict, list, tuple)):
        return 1
    if id(value) not in known:
        parts = inner.values() if isinstance(inner, dict) else inner
        known[id(value)] = 1 + sum(_count(part, known, depth + 1) for part in parts)
    return known[id(value)]


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its dotted key."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, config
