"""Find a config by path or by the name it ships under. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tlearn.errors import TlearnError, unknown

_PACKAGE = Path(__file__).parent


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
        TlearnError: Not YAML, empty, no mapping, or nested under a verb.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "not YAML"
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        tab = " (a tab: indent with spaces)" if "\\t" in problem else ""
        raise TlearnError(f"{path}{where}: {problem}{tab}") from error
    except (UnicodeDecodeError, OSError) as error:
        raise TlearnError(f"{path} cannot be read as UTF-8 text: {error}") from error
    if not isinstance(content, dict):
        kind = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise TlearnError(f"{path} {kind}; expected a mapping with the keys trainer, model, data")
    nested = [key for key in content if key in verbs]
    if nested:
        raise TlearnError(f"{path}: the config stands under '{nested[0]}:'; remove that line and one level of indent")
    return content


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its dotted key."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, config
