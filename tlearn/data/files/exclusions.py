"""The exclusion list of a data folder: pictures to leave out, and why. No file is ever deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.base.name_forms import path_form

EXCLUSIONS = "tlearn-exclude.json"


def read_exclusions(root: Path) -> dict[str, str]:
    """Return path relative to the root -> reason; empty without a list.

    Raises:
        TlearnError: The list is not what `write_exclusions` writes.
    """
    path = root / EXCLUSIONS
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TlearnError(f"{path.absolute()} is not readable as JSON ({error}); mend or remove it") from error
    if not isinstance(content, dict):
        raise TlearnError(f"{path.absolute()}: expected a mapping of path to reason, got a {type(content).__name__}")
    return {str(name): str(reason) for name, reason in content.items()}


def kept_positions(names: Sequence[str], excluded: Iterable[str]) -> list[int]:
    """Return the positions of names that are not excluded, in whatever form Windows or macOS wrote the list."""
    forms = {path_form(name) for name in excluded}
    return [number for number, name in enumerate(names) if not forms or path_form(name) not in forms]


def write_exclusions(root: Path, excluded: Mapping[str, str]) -> Path:
    """Write the list and return its path.

    Raises:
        TlearnError: The folder cannot be written to.
    """
    path = root / EXCLUSIONS
    # With escapes, because a file name need not be valid text.
    write_whole(path, json.dumps(dict(sorted(excluded.items())), indent=1))
    return path
