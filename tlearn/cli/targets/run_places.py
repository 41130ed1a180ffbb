"""Where the words of a command put its runs. TensorBoard's folder is the run's; any other logger is one more place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import last_value

BOARD = "TensorBoardLogger"
_PLACES = ("save_dir", "name", "version")
_LOGGER = "trainer.logger"


def names_place(arguments: Arguments) -> bool:
    """Tell whether a place of the run is typed, which then holds; else a run is resumed where its checkpoint lies."""
    return any(_typed(arguments, option) for option in _PLACES)


def runs_folder(arguments: Arguments, configs: list[dict[str, Any]]) -> Path:
    """Return the folder of the runs ``version_N`` of a command.

    Args:
        arguments: The command line, which beats the configs.
        configs: Their contents.
    """
    is_board = str(last_value(configs, f"{_LOGGER}.class_path") or BOARD).endswith(BOARD)

    def option(name: str) -> str | None:
        """Return what was typed, or written in a config, for an option of TensorBoard's logger."""
        written = last_value(configs, f"{_LOGGER}.init_args.{name}") if is_board else None
        return _typed(arguments, name) or written

    top = arguments.value_of("--trainer.default_root_dir") or last_value(configs, "trainer.default_root_dir")
    return Path(option("save_dir") or top or DEFAULT_ROOT, option("name") or arguments.run_name)


def _typed(arguments: Arguments, option: str) -> str | None:
    kind = arguments.value_of(f"--{_LOGGER}.class_path") or arguments.value_of(f"--{_LOGGER}") or BOARD
    if not kind.endswith(BOARD):
        return None
    return arguments.value_of(f"--{_LOGGER}.init_args.{option}") or arguments.value_of(f"--{_LOGGER}.{option}")
