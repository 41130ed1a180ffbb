"""The sections of ``card.json``, read from the network, the data and the trainer of a run."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Collection
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from lightning.pytorch import Trainer

from tlearn.base.machine import cores_allowed
from tlearn.base.program import program
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.doctor.diagnosis import diagnose
from tlearn.data.doctor.label_list import label_list_findings
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.models.backbones.input_channels import RGB
from tlearn.reporting.parameters import summarise
from tlearn.reporting.tensorboard.hparams import hyper_parameters
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import data_of

_LIBRARIES = ("tlearn", "torch", "torchvision", "lightning", "torchmetrics")
_PLAIN = (bool, int, float, str)
_LOOKED_AT = 5000  # picture files; with more, only the verb `doctor` looks at them


def network_facts(module: TransferModule) -> dict[str, Any]:
    """Describe the network: task, classes, trainable and frozen parameters, and pixels of other than three channels."""
    stages, channels = summarise(module), module.options.in_channels
    statistics = {name: getattr(module.preprocess, name).tolist() for name in ("mean", "std")}
    return {
        **({"pixels": {"channels": channels, **statistics}} if channels != RGB else {}),
        "task": module.task,
        "class_names": list(module.class_names),
        "parameters": {
            "trainable": sum(stage.trainable for stage in stages),
            "frozen": sum(stage.frozen for stage in stages),
            "behind_tap": module.backbone.behind_tap,
        },
        "stages": [asdict(stage) for stage in stages],
    }


def data_facts(data: ImageDataModule, config: dict[str, Any], splits: tuple[str, ...]) -> dict[str, Any]:
    """Describe the data: their options, and the number of images of each split and class.

    Args:
        data: Set up for these splits.
        config: The run's, as plain values.
        splits: Of ``train``, ``val`` and ``test``.
    """
    ranges = data.framing.reading.ranges or {}
    return {
        "module": data.kind_name,
        "options": config["data"].get("init_args", {}),
        **({"ranges": {kind: [*limits] for kind, limits in ranges.items()}} if ranges else {}),
        "shape_px": list(data.image_shape_px),
        "fingerprint": data.data_fingerprint if "train" in splits else None,
        "splits": {split: found for split in splits if (found := _counts(data, split))["images"]},  # a stream has none
    }


def advice_facts(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return what ``tlearn advise`` expected, if a run began from its config, and what was changed in it since."""
    advice = config.get("advice")
    if not isinstance(advice, dict):
        return None
    wanted = advice.get("options") or {}
    changed = [name for name, value in wanted.items() if not _is_in(value, config["model"].get(name))]
    return {name: value for name, value in advice.items() if name != "options"} | {"changed": changed}


def _is_in(wanted: Any, given: Any) -> bool:
    """Tell whether a value is as wanted; a class may have its whole path, and options that were not asked for."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        return all(_is_in(value, given.get(name)) for name, value in wanted.items())
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.rpartition(".")[2] == given.rpartition(".")[2]
    return bool(wanted == given)


def doctor_facts(data: ImageDataModule, is_pretrained: bool) -> dict[str, Any]:
    """Return the doctor's findings in training and validation pictures; only ``test`` may open test data.

    Args:
        data: Set up for fitting.
        is_pretrained: The network was trained on photographs.
    """
    if not isinstance(data, ImageFilesDataModule):
        return {"findings": [], "note": f"{data.kind_name} reads no picture files of your own"}
    if sum(len(data.dataset(split)) for split in ("train", "val")) > _LOOKED_AT:
        note = f"more than {_LOOKED_AT} pictures: {program()} doctor looks at all of them"
        return {"findings": [], "note": note}
    pictures = [picture for split in ("train", "val") for picture in data.pictures_of(split)]
    names = data.class_names if data.task == "classification" else []
    found = label_list_findings(data.listed)[:1]  # not of rows that may be of test pictures
    found += diagnose(pictures, names, data.framing, is_pretrained, data.task)
    return {
        "findings": [{"severity": each.severity, "what": each.what, "files": each.files[:20]} for each in found],
        "note": f"looked at {len(pictures)} picture files of training and validation",
    }


def environment_facts(trainer: Trainer, config: dict[str, Any]) -> dict[str, Any]:
    """Return versions, device, precision and seed."""
    device = trainer.strategy.root_device
    where = f"{device.type}, {cores_allowed()} of {os.cpu_count()} cores"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    return {
        **{name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": where,
        "precision": str(trainer.precision),
        "seed": config.get("seed_everything"),
    }


def config_of(trainer: Trainer) -> dict[str, Any]:
    """Return the options of a run from Python in the form of a config, read from its parts when training starts."""
    module, data, optimizer = model_of(trainer), data_of(trainer), trainer.optimizers[0]
    kinds = [kind for kind in type(data).__mro__ if issubclass(kind, ImageDataModule)]  # each passes options on
    names = {name: None for kind in reversed(kinds) for name in inspect.signature(kind.__init__).parameters}
    options = {name: getattr(data, name, None) for name in names}
    schedulers = [{"class_path": type(each.scheduler).__name__} for each in trainer.lr_scheduler_configs]
    return {
        "seed_everything": os.environ.get("PL_GLOBAL_SEED"),
        "model": {
            **{name: value for name, value in module.hparams.items() if name in _model_options()},
            "optimizer": {"class_path": type(optimizer).__name__, "init_args": _plain_of(optimizer.defaults)},
            "lr_scheduler": schedulers[0] if schedulers else None,
        },
        "data": {"init_args": _plain_of(options)},
    }


def settings_of(config: dict[str, Any], found_factor: float | None = None) -> dict[str, Any]:
    """Return the options of network and training that are set, flat.

    Args:
        config: The whole config as plain values.
        found_factor: The factor that ``--find_lr`` found for its rates.
    """
    settings = hyper_parameters(config, found_factor)
    return {key: value for key, value in settings.items() if value != "none"}


def numbers_of(metrics: dict[str, Any], *prefixes: str) -> dict[str, float]:
    """Return the metrics with these prefixes as plain numbers, without NaN."""
    values = {name: float(value) for name, value in metrics.items() if name.startswith(prefixes)}
    return {name: value for name, value in values.items() if value == value}


def _model_options() -> Collection[str]:
    return inspect.signature(TransferModule).parameters.keys()


def _plain_of(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if isinstance(value, _PLAIN)}


def _counts(data: ImageDataModule, split: Any) -> dict[str, Any]:
    images = data.dataset(split)
    is_told = len(images.targets) >= len(images)  # a data set of the user's own may tell no labels
    if data.task == "regression" or not is_told:
        return {"images": len(images), "classes": {}}
    targets = images.targets[images.indices]
    counts = (targets == 1).sum(dim=0) if targets.ndim == 2 else torch.bincount(targets, minlength=data.num_classes)
    return {"images": len(images), "classes": dict(zip(data.class_names, map(int, counts), strict=True))}
