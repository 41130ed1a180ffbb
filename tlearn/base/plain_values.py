"""Plain values of options: what numpy, pandas, torch, tuples, enumerations and paths hold, as Python itself writes it.

A checkpoint holds plain values and tensors alone. What a user's array is a view of may change later; the value may not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from tlearn.base.errors import TlearnError

_EXACT = (bool, int, float, str)  # in this order: a bool is an int, too
_LISTS = (list, tuple, range)


class NotPlainError(Exception):
    """A value that is none of the plain kinds; the message is the name of its type."""


def plain_values(**options: Any) -> Any:
    """Return the values of some options as plain ones, in their order.

    Args:
        **options: Name to value. None, bool, int, float and text stay; scalars of numpy and torch, enumerations, paths
            become one of these; arrays, tensors, tuples, ranges and columns of pandas become lists; mappings stay
            mappings. Lists are copied.

    Raises:
        TlearnError: A value is none of them, such as bytes or a set, which has no order; its option is named.
    """
    found = []
    for option, value in options.items():
        try:
            found.append(plain(value))
        except NotPlainError as error:
            raise TlearnError(
                f"{option} holds a value of type {error}, which no checkpoint could hold; give numbers, texts, lists"
            ) from error
    return found


def plain(value: Any) -> Any:
    """Return a value as a plain one, see `plain_values`.

    Raises:
        NotPlainError: It cannot be made plain.
    """
    if value is None or type(value) in _EXACT:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, _LISTS):
        return [plain(item) for item in value]
    for kind in _EXACT:
        if isinstance(value, kind):
            return kind(value)
    return _foreign(value)


def texts(option: str, names: Any) -> list[str]:
    """Return names as a list of texts; whole numbers are taken for their digits, as labels often come.

    Args:
        option: For the message.
        names: A list, tuple or array of texts or whole numbers.

    Raises:
        TlearnError: It is something else, or holds something else.
    """
    (listed,) = plain_values(**{option: names})
    if not isinstance(listed, list):
        raise TlearnError(f"{option}: expected a list of texts, got {listed!r}")
    for name in listed:
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise TlearnError(f"{option}: expected texts, got {name!r}; write it as text")
    return [str(name) for name in listed]


def whole_number(option: str, value: Any, least: int | None = None) -> int:
    """Return a whole number, also one that was computed with floats.

    Args:
        option: For the message.
        value: A plain value.
        least: The least that it may be; any by default.

    Raises:
        TlearnError: It is none, or less.
    """
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
    if is_whole and (least is None or value >= least):
        return int(value)
    bound = "" if least is None else f" from {least} on"
    raise TlearnError(f"{option}: expected a whole number{bound}, got {value!r}")


def _foreign(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    convert = getattr(value, "tolist", None)  # numpy, torch, pandas
    held = convert() if convert is not None else value
    if type(held) is not type(value):
        return plain(held)
    try:
        return float(held) if convert is not None else _refuse(value)  # numpy.longdouble lists itself
    except (TypeError, ValueError):
        return _refuse(value)


def _refuse(value: Any) -> Any:
    raise NotPlainError(f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins."))


def leaves_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at the ends of nested mappings, by its own name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves_of(item, str(key))
    else:
        yield name, value
