"""Name the soup at the end of a comparison or a sweep, where its best runs are of one network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tlearn.base.next_command import command_line
from tlearn.base.places import run_folder_of
from tlearn.models.options import NetworkOptions, names_of

_MOST = 3  # runs that are named: each costs an ensemble one more pass
_FREE = ("num_classes", "class_names", "task", "head_dropout")  # told by the data, or without weights


def soup_line(values: Mapping[str, float], higher_is_better: bool) -> str:
    """Return the command that averages the best runs of a comparison; empty where the best two are of two networks.

    Args:
        values: The best checkpoint of each run, on the same validation images, to the value that it reached.
        higher_is_better: False for losses.
    """
    ranked = sorted(values, key=lambda path: values[path], reverse=higher_is_better)
    folders = [folder for path in ranked if (folder := run_folder_of(Path(path))) is not None]
    networks = [_network_in(folder) for folder in folders[:_MOST]]
    if len(networks) < 2 or not networks[0] or networks[0] != networks[1]:
        return ""
    alike = [folder for folder, network in zip(folders, networks, strict=False) if network == networks[0]]
    return f"to average the best runs: {command_line('soup', *map(_near, alike))}"


def _network_in(folder: Path) -> dict[str, Any]:
    """Return the options of the network of a run; empty where its config cannot be read."""
    with suppress(OSError, yaml.YAMLError, KeyError, TypeError):
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        model = config["model"]
        found = {name: model[name] for name in names_of(NetworkOptions) if name in model and name not in _FREE}
        return found | ({} if model["weights"] else {"seed": config["seed_everything"]})  # the seed draws the start
    return {}


def _near(path: Path) -> Path:
    """Return a path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
