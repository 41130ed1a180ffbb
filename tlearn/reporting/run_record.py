"""What a run leaves behind besides its checkpoints: ``config.yaml``, ``split.json``, the hparams tab."""

from __future__ import annotations

import json
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.errors import TlearnError
from tlearn.outputs import write_whole
from tlearn.reporting.checkpoints import BestCheckpoint, run_folder

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
        write_whole(target, yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        write_whole(folder / "split.json", json.dumps(trainer.datamodule.split_record()))  # type: ignore[attr-defined]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config: ``test`` and ``predict`` from a checkpoint repeat no option."""
        checkpoint[CONFIG_KEY] = self.config

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give TensorBoard's hparams tab the settings that matter beside the result."""
        best = next((c for c in trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint)), None)
        if trainer.logger is None or best is None or best.best_model_score is None:
            return
        metrics = {f"best/{best.monitor}": float(best.best_model_score)}
        settings = hyper_parameters(self.config)
        for logger in trainer.loggers:
            try:
                logger.log_hyperparams(settings, metrics)  # TensorBoard's alone takes the metrics along
            except TypeError:
                logger.log_hyperparams(settings)


def hyper_parameters(config: dict[str, Any]) -> dict[str, Any]:
    """Pick what people compare runs by, flat, as numbers and texts."""
    model, data = config["model"], config["data"].get("init_args", {})
    settings = {key: _plain(value) for key, value in model.items() if key not in ("optimizer", "lr_scheduler")}
    optimizer = model["optimizer"] or {}
    settings["optimizer"] = str(optimizer.get("class_path", "")).rpartition(".")[2]
    settings |= {
        key: value for key, value in optimizer.get("init_args", {}).items() if key in ("lr", "momentum", "weight_decay")
    }
    for key in ("batch_size", "train_per_class"):
        settings[key] = _plain(data.get(key))
    settings["seed"] = _plain(config.get("seed_everything"))
    return settings


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else "none" if value is None else str(value)
