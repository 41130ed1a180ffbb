"""Refuse YAML that nobody writes: far too large, a key twice in one mapping, or a block with nothing under it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml

from tlearn.base.errors import TlearnError

# Under these keys something must stand. For all other keys nothing means null.
_BLOCKS = ("model", "trainer", "optimizer", "init_args", "class_path")
_BLOCKS_OR_NULL = ("data", "augment")  # --print_config prints them as null
_NULL = "tag:yaml.org,2002:null"
_MOST_VALUES = 100_000  # more than the class names of the largest data sets
LONGEST = 1_000_000  # characters
_DEEPEST = 100
_SURELY_SMALL = 1000  # characters, without an alias
TOO_DEEP = "nested too deeply; write it flatter"


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


def load_yaml(text: str) -> Any:
    """Read YAML as plain values, after its size is checked: aliases multiply.

    Raises:
        TlearnError: The text is too long, has too many values or is nested too deeply.
        KeyFaultError: A mapping names a key twice, or leaves a block empty.
    """
    if len(text) > LONGEST:
        raise TlearnError(f"more than {LONGEST:,} characters; make it smaller")
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
            load_yaml(text)
        except KeyFaultError as error:
            raise TlearnError(error.problem) from error
        except RecursionError as error:
            raise TlearnError(TOO_DEEP) from error
        except ValueError:
            return


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
        raise TlearnError(TOO_DEEP)
    inner = value.value if isinstance(value, yaml.CollectionNode) else value
    if not isinstance(inner, (dict, list, tuple)):
        return 1
    if id(value) not in known:
        parts = inner.values() if isinstance(inner, dict) else inner
        known[id(value)] = 1 + sum(_count(part, known, depth + 1) for part in parts)
    return known[id(value)]
