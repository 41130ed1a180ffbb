"""The run folder: config and split, which make a run repeatable, and a lock against a second process."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.base.locks import lock_folder, unlock_folder
from tlearn.base.places import version_of
from tlearn.training.callbacks.checkpoints import run_folder
from tlearn.training.typed import data_of, is_trial

CONFIG_KEY = "tlearn_config"
_PATIENCE_S = 15


class RunRecordCallback(Callback):
    """Write the config and the split into the run folder, and the config into every checkpoint.

    Args:
        config: The whole config as plain values, in the form that any verb accepts.
        resumed: The checkpoint from which a run is resumed in its own folder, which has a config already.
    """

    def __init__(self, config: dict[str, Any], resumed: Path | None = None) -> None:
        self.config = config
        self.resumed = resumed
        self._written = resumed and resumed.stat().st_mtime_ns
        self._held: int | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both files.

        Raises:
            TlearnError: The folder holds another run, or another process trains in it.
        """
        if not trainer.is_global_zero:
            return
        folder = run_folder(trainer)
        target = folder / "config.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        if self.resumed is None:
            _claim(target)
        self._held = _hold(folder)
        if self.resumed and self.resumed.stat().st_mtime_ns != self._written:
            raise TlearnError(f"another process has just written {self.resumed}; start again, to go on from there")
        for left in folder.rglob(".*.partial"):
            left.unlink()  # of a process that was killed here
        write_whole(target, yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        write_whole(folder / "split.json", json.dumps(data_of(trainer).split_record()))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config, so that ``test`` and ``predict`` need no option but the checkpoint."""
        checkpoint[CONFIG_KEY] = self.config

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Release the folder's lock."""
        self.let_go()

    def let_go(self) -> None:
        """Release the folder's lock.

        After an error the command line calls this, because no Lightning hook runs after the last file is written.
        """
        if self._held is not None:
            unlock_folder(self._held)
            self._held = None


def make_run_folder(trainer: Trainer) -> Path | None:
    """Make the folder of a new run under the first free number; two runs that start together get two folders.

    Returns:
        The folder; ``None`` if the user named one, which `RunRecordCallback` refuses if it holds a run.
    """
    if is_trial(trainer) or not trainer.is_global_zero:
        return None
    made: Path | None = None
    logger, folder = trainer.logger, Path(trainer.default_root_dir)
    if logger is None and version_of(folder) >= 0:
        while not _is_made(folder):
            folder = folder.with_name(f"version_{version_of(folder) + 1}")
        view: Any = trainer  # which has a property of this name, without a setter
        view._default_root_dir, made = str(folder), folder
    while isinstance(logger, TensorBoardLogger) and logger._version is None:
        made = Path(logger.log_dir)  # the logger chooses a number
        if not _is_made(made):
            logger._version = None
    return made


def drop_refused_run(made: Path | None) -> None:
    """Remove the folder that was made for a run, if the run was refused before it wrote its config."""
    if made is not None and not (made / "config.yaml").exists():
        for begun in made.glob("events.out.tfevents.*"):
            begun.unlink()
        with suppress(OSError):
            made.rmdir()


def _is_made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def _hold(folder: Path) -> int:
    """Lock the folder against other processes. The system releases the lock however this process ends.

    The data workers of a killed process keep the lock until they notice, which takes torch 5 s.
    """
    end_s = time.monotonic() + _PATIENCE_S
    while (held := lock_folder(folder)) is None:
        if time.monotonic() > end_s:
            raise TlearnError(
                f"another process trains in {folder.absolute()}; wait for it, or begin a new run without --ckpt_path"
            )
        time.sleep(0.2)
    return held


def _claim(config: Path) -> None:
    try:
        config.touch(exist_ok=False)
    except FileExistsError as error:
        raise TlearnError(
            f"{config.absolute()} exists: the folder holds another run; move it, or unset the logger's version"
        ) from error
