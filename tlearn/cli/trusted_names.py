"""jsonargparse made safe: which classes a config may name, and the encoding in which configs are read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

import jsonargparse._paths
import yaml
from jsonargparse import get_loader, set_loader, set_parsing_settings
from jsonargparse._common import parsing_settings
from jsonargparse._loaders_dumpers import loader_exceptions, loader_json_superset, loader_params, loaders

from tlearn.cli.isolation import undo_later
from tlearn.cli.safe_yaml import check_text
from tlearn.models.trust import OURS, VARIABLE, is_the_parser, set_typed, trusted_packages

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")


_load = get_loader("yaml")


def _load_checked(text: str) -> Any:
    """Read a config that a config names, which nobody has looked at yet."""
    check_text(text)
    return _load(text)


def confine_names(words: Iterable[str]) -> None:
    """Let values name only what tlearn, torch.optim and Lightning offer, what the user typed, and what they trust.

    It holds for every value that jsonargparse parses from now on: of configs, of checkpoints, of the command line.

    Args:
        words: The command line. A name that stands there in full, as in ``--trainer.callbacks+=my_module.MyCallback``,
            is the user's own word.

    Raises:
        TlearnError: The variable holds what cannot be a package.
    """
    packages = trusted_packages()
    values = (word.rpartition("=")[2] for word in words)
    typed = [value for value in values if _DOTTED.fullmatch(value) and not is_the_parser(value)]
    undo_later(partial(set_typed, set_typed(typed)))
    for table in (parsing_settings, loaders, loader_exceptions, loader_json_superset, loader_params):
        before = {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}
        undo_later(partial(_refill, table, before))
    set_loader("yaml", _load_checked, (yaml.YAMLError,))
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*OURS, *packages, *typed],
        instantiate_subclass_spec_in_any=False,  # else any class at all could be made where an option takes anything
    )


def _refill(table: dict[str, Any], content: dict[str, Any]) -> None:
    table.clear()
    table.update(content)


def refused_name(message: str) -> str | None:
    """Put jsonargparse's refusal of a name into a line; ``None`` if that is not what it says."""
    denied = re.search(r"Importing '([\w.]+)' is not allowed", message)
    if denied is None:
        return None
    package = denied[1].partition(".")[0]
    own = package not in sys.stdlib_module_names and package not in ("torch", "lightning")
    remedy = f"; if you trust that code: {VARIABLE}={package}" if own else ""
    return (
        f"'{denied[1]}' is not taken from a config, which may come from anyone: it is neither tlearn's, torch.optim's "
        f"nor Lightning's{remedy}"
    )


def _open(path: Any, mode: str = "r") -> Any:
    return open(path, mode, encoding=None if "b" in mode else "utf-8")  # noqa: PTH123  # in place of that function


def read_configs_as_utf8() -> None:
    """Give the file that opens configs (jsonargparse 4.53) an `open` of its own, in front of Python's."""
    paths: Any = jsonargparse._paths
    if "open" not in vars(paths):
        undo_later(partial(delattr, paths, "open"))
    paths.open = _open
