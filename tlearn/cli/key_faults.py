"""Find what the readers of YAML and JSON pass by: a key twice, of which the last alone counts, and an empty block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

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
