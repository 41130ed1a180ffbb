"""Settings and results of a run for TensorBoard's hparams tab, where runs are compared."""

from __future__ import annotations

import inspect
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.training.callbacks.checkpoints import best_checkpoint
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.lr_finder import LearningRateFinderCallback
from tlearn.training.typed import callbacks_of

# Shown for every run. Other options are shown only if they differ from their default.
_ALWAYS = ("backbone", "weights", "image_size", "tap", "freeze_backbone", "freeze_until")

# Metrics of the last epoch, shown beside the best epoch's score.
_FINAL = ("train/loss", "val/loss", "val/acc", "val/f1", "val/mae", "val/ece")


class HyperParametersCallback(Callback):
    """Log settings and results when ``fit`` ends.

    Args:
        config: The whole config as plain values.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which metrics the last epoch has."""
        self._stages = model_of(trainer).evaluation.stages(trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log settings and results, if there is a best epoch."""
        best = best_checkpoint(trainer)
        if best is None or best.best_model_score is None:
            return
        found = {
            name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(self._stages)
        }
        metrics = {f"best/{best.monitor}": float(best.best_model_score)}
        metrics |= {f"final/{name}": found[name] for name in _FINAL if name in found}
        settings = hyper_parameters(self.config, found_factor(trainer))
        for logger in trainer.loggers:
            try:
                logger.log_hyperparams(settings, metrics)  # only TensorBoard's takes metrics
            except TypeError:
                logger.log_hyperparams(settings)


def found_factor(trainer: Trainer) -> float | None:
    """Return the factor that ``--find_lr`` found for the config's rates; ``None`` without a range test."""
    finders = [callback for callback in callbacks_of(trainer) if isinstance(callback, LearningRateFinderCallback)]
    return finders[0].factor if finders else None


def hyper_parameters(config: dict[str, Any], factor: float | None = None) -> dict[str, Any]:
    """Return the options by which runs are compared, flat, as numbers and texts.

    Args:
        config: The whole config as plain values.
        factor: The factor that ``--find_lr`` found for its rates. ``lr`` is then the rate that was found, for a group
            whose ``lr_scale`` is 1, at the top of the cycle if the schedule has one.
    """
    model, data = config["model"], config["data"].get("init_args", {})
    defaults = {name: option.default for name, option in inspect.signature(TransferModule).parameters.items()}
    kept = [key for key, value in model.items() if key in _ALWAYS or value not in (defaults[key], [], {})]
    settings = {key: _plain(model[key]) for key in kept if key not in ("optimizer", "lr_scheduler")}
    optimizer = model["optimizer"] or {}
    settings["optimizer"] = str(optimizer.get("class_path", "")).rpartition(".")[2]
    settings |= {
        key: value for key, value in optimizer.get("init_args", {}).items() if key in ("lr", "momentum", "weight_decay")
    }
    if factor is not None:
        settings |= {"lr": factor * _highest_rate(model), "find_lr": True}
    for key in ("batch_size", "train_per_class"):
        settings[key] = _plain(data.get(key))
    settings["seed"] = _plain(config.get("seed_everything"))
    return settings


def _highest_rate(model: dict[str, Any]) -> float:
    """Return the rate of a config: the top of its cycle, or else the optimizer's rate."""
    for part, option in (("lr_scheduler", "max_lr"), ("optimizer", "lr")):
        rate = ((model[part] or {}).get("init_args") or {}).get(option)
        if rate is not None:
            return float(max(rate) if isinstance(rate, list) else rate)
    return float("nan")  # an optimizer without a rate


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else "none" if value is None else str(value)
