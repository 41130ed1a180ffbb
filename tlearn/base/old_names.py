"""Old names of classes and functions that moved, so that configs, checkpoints and scripts that hold them still work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def old_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` (PEP 562) that imports a name from its home when it is first used.

    Args:
        package: The module's own name, for the message about a name that it never had.
        homes: Old name to the module that defines it today.
    """

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(homes[name]), name)

    return attribute
