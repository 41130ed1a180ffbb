"""What makes a run repeatable: its config and split in the run folder, its config in every checkpoint."""

from __future__ import annotations

import json
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.errors import TlearnError
from tlearn.models import run_folder
from tlearn.outputs import write_whole

CONFIG_KEY = "tlearn_config"


class RunRecordCallback(Callback):
    """Write the config and the split into the run folder, and the config into every checkpoint.

    Args:
        config: The whole config as plain values; any verb accepts it back.
        resumed: The run goes on in a folder that has a config already.
    """

    def __init__(self, config: dict[str, Any], resumed: bool = False) -> None:
        self.config = config
        self.resumed = resumed

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both files.

        Raises:
            TlearnError: The folder holds a run already.
        """
        if not trainer.is_global_zero:
            return
        folder = run_folder(trainer)
        target = folder / "config.yaml"
        if target.exists() and not self.resumed:
            raise TlearnError(
                f"{target.absolute()} exists: the folder holds another run; move it, or unset the logger's version"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.rglob(".*.partial"):
            left.unlink()  # of a process that was killed here
        write_whole(target, yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        write_whole(folder / "split.json", json.dumps(trainer.datamodule.split_record()))  # type: ignore[attr-defined]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config: ``test`` and ``predict`` from a checkpoint repeat no option."""
        checkpoint[CONFIG_KEY] = self.config
