"""Which Python names a config or a checkpoint may make tlearn import: to import a name is to run its module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tlearn.base.errors import TlearnError, one_line

VARIABLE = "TLEARN_TRUST"
# What options take from these is a class of the option's type; functions such as torch.hub.load are elsewhere.
OURS = (
    "tlearn",
    "torch.optim",
    *(f"lightning.pytorch.{part}" for part in ("accelerators", "callbacks", "loggers", "plugins", "profilers")),
    *(f"lightning.{part}" for part in ("Callback", "pytorch.Callback", "pytorch.cli", "pytorch.strategies")),
    "lightning.fabric.plugins",
    "lightning.fabric.strategies",
    "datetime.timedelta",  # ModelCheckpoint's train_time_interval
)
_typed: list[str] = []  # names that stand in full on the command line that runs now


def set_typed(names: Sequence[str]) -> list[str]:
    """Trust these names, in place of those of an earlier command line, which are returned."""
    before = list(_typed)
    _typed[:] = names
    return before


def trusted_packages() -> list[str]:
    """Return the packages that the user trusts, named in the environment.

    Raises:
        TlearnError: The variable holds what cannot be a package.
    """
    packages = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    for name in packages:
        if not is_dotted_name(name) or is_the_parser(name):
            raise TlearnError(f"{VARIABLE}: '{name}' cannot be trusted; expected packages, with commas between them")
    return packages


def is_dotted_name(text: str) -> bool:
    """Tell whether a text could be a name of Python's, with or without its package."""
    return all(part.isidentifier() for part in text.split("."))


def is_the_parser(name: str) -> bool:
    """Tell whether a name is of jsonargparse, which could lift the confinement itself."""
    return name.partition(".")[0] == "jsonargparse"


def is_of(name: str, packages: Sequence[str]) -> bool:
    """Tell whether a dotted name is one of these, or lies below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def import_own(name: str, option: str, remedy: str) -> Any:
    """Import what a dotted name of the user's own stands for.

    Args:
        name: ``my_package.make_net``.
        option: What names it, for the message.
        remedy: What else to do than to trust the name.

    Raises:
        TlearnError: The name is not trusted, or there is no such thing.
    """
    if not is_of(name, [*trusted_packages(), *_typed]):
        raise TlearnError(
            f"{option} {name} is code that a file names and you have not; if you trust it: type {option} {name} in "
            f"full, or {VARIABLE}={name.partition('.')[0]}; {remedy}"
        )
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # the module's own faults
        raise TlearnError(f"{option}: {name} cannot be imported ({one_line(error, 200)})") from error
