"""Names of the user's own code in a run's config, which the commands that go on from it have to type in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlearn.data.datamodule import ImageDataModule
from tlearn.data.plain.given import GIVEN
from tlearn.data.plain.view import PlainDataView
from tlearn.models.trust import OURS, is_of

_OF_NETWORK = ("backbone", "optimizer", "lr_scheduler")


def own_names(data: ImageDataModule, config: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Return what the next command of a finished run needs to know.

    Args:
        data: Of the run, set up.
        config: The run's, as plain values; empty where nobody has it.

    Returns:
        Whether the command should predict for pictures: the run's have names, or there is nothing to test on. And the
        options that it types, for what stands in a checkpoint alone is not trusted.
    """
    tests = data.tests if isinstance(data, PlainDataView) else not data.has_picture_names
    names = [*_of_network(config), *(_of_data(config) if tests else [])]
    is_gone = _kind_of_data(config) == GIVEN  # an object went with its process
    return not tests or is_gone, names


def names_to_resume(config: Mapping[str, Any]) -> list[str]:
    """Return the options that a command has to type to go on with a run: those that name code of the user's own.

    Args:
        config: The run's, as plain values.
    """
    return [*_of_network(config), *_of_data(config)]


def _of_data(config: Mapping[str, Any]) -> list[str]:
    kind = _kind_of_data(config)
    return ["--data", kind] if _is_own(kind) else []


def _kind_of_data(config: Mapping[str, Any]) -> str:
    return str((config.get("data") or {}).get("class_path"))


def _of_network(config: Mapping[str, Any]) -> list[str]:
    model, found = config.get("model") or {}, []
    for option in _OF_NETWORK:
        value = model.get(option)
        name = value.get("class_path") if isinstance(value, Mapping) else value
        if isinstance(name, str) and _is_own(name):
            found += [f"--model.{option}", name]
    return found


def _is_own(name: str) -> bool:
    return "." in name and "/" not in name and not is_of(name, OURS)
