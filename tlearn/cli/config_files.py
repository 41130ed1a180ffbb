"""Config files: find, read and check them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tlearn.base.errors import TlearnError, one_line, unknown

# What stands under these is never nothing. Of all other keys nothing means null.
_BLOCKS = ("model", "trainer", "optimizer", "init_args", "class_path")
_BLOCKS_OR_NULL = ("data", "augment")  # as null they are printed by --print_config
_NULL = "tag:yaml.org,2002:null"


class KeyFaultError(yaml.MarkedYAMLError):
    """A key that stands twice in one mapping, or has nothing under it."""


def check_keys(node: yaml.Node, loader: yaml.SafeLoader) -> None:
    """Refuse a document in which a mapping, at any depth, names a key twice or leaves a block empty.

    Args:
        node: The document's, of a size that was checked: aliases may repeat, but hold no circle.
        loader: What resolves its keys, so that ``1`` and ``0x1`` are one.

    Raises:
        KeyFaultError: There is one; it says where.
    """
    waiting, seen = [node], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or not isinstance(each, yaml.CollectionNode):
            continue
        seen.add(id(each))
        if isinstance(each, yaml.MappingNode):
            _check_mapping(each, loader)
            waiting += [part for pair in each.value for part in pair]
        else:
            waiting += each.value


def _check_mapping(mapping: yaml.MappingNode, loader: yaml.SafeLoader) -> None:
    lines: dict[Any, int] = {}
    for node, value in mapping.value:
        if not isinstance(node, yaml.ScalarNode):
            continue  # a list or mapping is no key; the reader says so
        if _is_empty(node.value, value):
            raise KeyFaultError(
                problem=f"{node.value} has nothing under it; fill it, or drop it", problem_mark=node.start_mark
            )
        # `<<` takes over what an anchor holds, which a key beside it may override
        key = node.value if node.tag.endswith(":merge") else loader.construct_object(node)
        line = node.start_mark.line + 1
        if key in lines:
            where = "on the same line" if lines[key] == line else f"in line {lines[key]}"
            problem = f"the key '{node.value}' already stands {where}, and only one of them would count; drop one"
            raise KeyFaultError(problem=problem, problem_mark=node.start_mark)
        lines[key] = line


def _is_empty(key: str, value: yaml.Node) -> bool:
    if value.tag != _NULL:
        return False
    return key in _BLOCKS or (key in _BLOCKS_OR_NULL and value.value == "")


def doubled(keys: Iterable[str]) -> str | None:
    """Return the first of several dotted keys that comes twice: ``a.b: 1`` beside ``a: {b: 2}``."""
    return next((key for key, times in Counter(keys).items() if times > 1), None)


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


_MEANT: dict[str, dict[str, Any]] = {"ImageTableDataModule": {"empty_labels": "no", "uncertain_labels": "error"}}


def with_older_options(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in options that came later and whose default is not what happened before there was an option.

    Args:
        config: The config in a checkpoint, as plain values.
    """
    data: Any = config.get("data")
    given = data.get("init_args") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        return config
    meant = _MEANT.get(str(data.get("class_path")).rpartition(".")[2], {})
    return {**config, "data": {**data, "init_args": {**meant, **given}}}
