"""Let jsonargparse read configs as UTF-8, which they are, whatever the country of a Windows machine takes text for."""

from __future__ import annotations

from typing import Any

import jsonargparse._paths


def _open(path: Any, mode: str = "r") -> Any:
    return open(path, mode, encoding=None if "b" in mode else "utf-8")  # noqa: PTH123  # in place of that function


def read_configs_as_utf8() -> None:
    """Give the file that opens configs (jsonargparse 4.53) an `open` of its own, in front of Python's."""
    jsonargparse._paths.open = _open  # type: ignore[attr-defined]
