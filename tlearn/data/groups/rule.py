"""Read the option ``group``, and find the group of each picture. Letters: N pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical
from tlearn.base.plain_values import plain_values
from tlearn.data.files.listing import listed, number_of

OPTION = "data.init_args.group"
_MOST = 3  # pictures that are named


@dataclass(frozen=True)
class GroupRule:
    """How the group of a picture is found in its path.

    Attributes:
        level: The folder of this number, counted from 1; ``None`` where an expression is searched.
        pattern: The expression, of which the part in brackets names the group.
    """

    level: int | None
    pattern: re.Pattern[str] | None

    def of_paths(self, paths: Iterable[str], above: int = 0) -> list[str | None]:
        """Return the group of each picture; ``None`` where its path names none.

        Args:
            paths: N paths relative to the root.
            above: How many folders lie above the first one that counts, such as ``train`` and that of the class.
        """
        return [self._of(path.replace("\\", "/"), above) for path in paths]

    def _of(self, path: str, above: int) -> str | None:
        if self.pattern is not None:
            found = self.pattern.search(path)
            return group_text(found[1]) if found else None
        folders = path.removeprefix("/").split("/")[:-1]
        place = above + (self.level or 1) - 1
        return group_text(folders[place]) if place < len(folders) else None


def group_text(value: Any) -> str | None:
    """Return the name of a group as text; ``None`` for an empty cell or an empty match."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return canonical(value) or None


def checked_group(group: Any) -> int | str | None:
    """Read the option.

    Raises:
        TlearnError: It is neither a folder level from 1 on nor a text.
    """
    (plain,) = plain_values(group=group)
    is_level = isinstance(plain, int) and not isinstance(plain, bool) and plain >= 1
    if plain is None or is_level or (isinstance(plain, str) and plain.strip()):
        return plain if not isinstance(plain, str) else plain.strip()
    raise TlearnError(f"{OPTION}: {_expected()}, got {plain!r}")


def rule_of(group: int | str, columns: Sequence[str] = ()) -> GroupRule:
    """Return the rule by which paths name groups.

    Args:
        group: The option, which is no column.
        columns: Those of the table, for messages.

    Raises:
        TlearnError: It is a text and no expression with one group in brackets.
    """
    if isinstance(group, int):
        return GroupRule(group, None)
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise TlearnError(f"{OPTION} '{group}' is {_neither(columns)} ({error}); {_expected(columns)}") from error
    if pattern.groups != 1:
        count = number_of(pattern.groups, "part") if pattern.groups else "no part"
        column = "is no column, and as a regular expression" if columns else "as a regular expression"
        raise TlearnError(f"{OPTION} '{group}' {column} has {count} in round brackets; {_expected(columns)}")
    return GroupRule(None, pattern)


def groups_of_paths(group: int | str | None, paths: Sequence[str], above: int = 0) -> list[str | None] | None:
    """Return the group of each path, see `GroupRule.of_paths`; ``None`` without the option.

    Raises:
        TlearnError: The option is a text and no expression with one group in brackets.
    """
    return None if group is None else rule_of(group).of_paths(paths, above)


def is_expression(text: str) -> bool:
    """Tell whether a text is a regular expression with exactly one group in brackets."""
    try:
        return re.compile(text).groups == 1
    except re.error:
        return False


def _neither(columns: Sequence[str]) -> str:
    return "no column and no regular expression" if columns else "no regular expression"


def _expected(columns: Sequence[str] = ()) -> str:
    column = f"a column ({listed(columns)}), " if columns else ""
    return (
        f"expected {column}the number of a folder level from 1 on, or a regular expression with exactly one part in "
        "round brackets, such as '([^_/]+)_[^/]*$'"
    )


def told_of_gaps(split: str, group: int | str, where: Sequence[str], count: int, is_column: bool = False) -> str:
    """Say how many pictures of a split have no group, and which are the first.

    Args:
        split: Its name.
        group: The option.
        where: The pictures without a group, or their rows in the table.
        count: How many pictures the split has.
        is_column: The option is a column.
    """
    why = "lie above that folder level" if isinstance(group, int) else "are not matched by it"
    why = "have an empty cell there" if is_column else why
    if len(where) == 1:
        why = why.replace("lie ", "lies ").replace("are ", "is ").replace("have ", "has ")
    return (
        f"{split}: {len(where)} of {number_of(count, 'picture')} {why} ({OPTION} {group}): {listed(where, most=_MOST)}"
    )
