"""Settings and results of a run for TensorBoard's hparams tab, where runs are compared."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from tlearn.training.callbacks.checkpoints import best_checkpoint
from tlearn.training.module import TransferModule
from tlearn.training.strategies.lr_finder import LearningRateFinderCallback
from tlearn.training.typed import callbacks_of

# Shown for every run. Other options are shown only if they differ from their default.
_ALWAYS = ("backbone", "weights", "image_size", "tap", "freeze_backbone", "freeze_until")

# Curves whose last value stands beside the best epoch's score.
_CURVES = ("train/loss", "val/loss", "val/acc", "val/f1", "val/mae", "val/ece")


class HyperParametersCallback(Callback):
    """Log settings and results when ``fit`` ends.

    Args:
        config: The whole config as plain values.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log settings and results, if there is a best epoch."""
        best = best_checkpoint(trainer)
        if best is None or best.best_model_score is None or not trainer.is_global_zero:
            return
        results = {best_tag(str(best.monitor)): float(best.best_model_score)}
        curves = [name for name in _CURVES if name in trainer.callback_metrics]
        settings = hyper_parameters(self.config, found_factor(trainer))
        for logger in trainer.loggers:
            log_settings(logger, settings, results, curves)


def best_tag(monitor: str) -> str:
    """Return the name of the best value of a metric: ``val_best/acc`` for ``val/acc``.

    TensorBoard sorts tags by their names, and a single point is not what a page should begin with.
    """
    return monitor.replace("val/", "val_best/", 1)


def log_settings(
    logger: Logger, settings: Mapping[str, Any], results: Mapping[str, float], curves: Sequence[str] = ()
) -> None:
    """Log settings and results to one logger; only TensorBoard's takes results.

    Args:
        logger: One of the trainer's.
        settings: Options as booleans, numbers and texts.
        results: Names to numbers, which are logged here.
        curves: Names of metrics that the run has logged; the last value of each is a result too.
    """
    if not isinstance(logger, TensorBoardLogger):
        logger.log_hyperparams(dict(settings))
        return
    logger.hparams.update(settings)  # which it writes into hparams.yaml
    logger.log_metrics(dict(results), step=0)
    for summary in _summaries({name: _as_shown(value) for name, value in settings.items()}, [*results, *curves]):
        logger.experiment._get_file_writer().add_summary(summary)


def _as_shown(value: Any) -> bool | float | str:
    """Turn a whole number into a text: TensorBoard knows no whole numbers, and shows 32 as 32.000."""
    return value if isinstance(value, (bool, float)) else str(value)


def _summaries(settings: Mapping[str, bool | float | str], metrics: Sequence[str]) -> Iterator[Any]:
    """Yield what the hparams tab reads. torch's `SummaryWriter.add_hparams` would make numbers of booleans."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName, Status
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    experiment, start = Experiment(), SessionStartInfo(start_time_secs=time.time())
    for name, value in settings.items():
        kind, field = _KINDS[type(value)]
        experiment.hparam_infos.append(HParamInfo(name=name, type=kind))
        setattr(start.hparams[name], field, value)
    experiment.metric_infos.extend(MetricInfo(name=MetricName(tag=tag)) for tag in metrics)
    end = SessionEndInfo(status=Status.Value("STATUS_SUCCESS"), end_time_secs=time.time())
    for tag, content in (
        (metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment)),
        (metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start)),
        (metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end)),
    ):
        about = metadata.create_summary_metadata(content)
        yield Summary(value=[Summary.Value(tag=tag, tensor=metadata.NULL_TENSOR, metadata=about)])


# By type: TensorBoard's name for it, and the field that takes such a value.
_KINDS: dict[type, tuple[str, str]] = {
    bool: ("DATA_TYPE_BOOL", "bool_value"),
    float: ("DATA_TYPE_FLOAT64", "number_value"),
    str: ("DATA_TYPE_STRING", "string_value"),
}


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
