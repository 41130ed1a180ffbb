"""Whether something in a run has to see each step of a head on cached features, which a plain loop does not show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
    ThroughputMonitor,
    WeightAveraging,
)
from lightning.pytorch.callbacks.spike import SpikeDetection
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from tlearn.data.datamodule import ImageDataModule
from tlearn.training.module import TransferModule
from tlearn.training.typed import callbacks_of, data_of

_GRADIENT_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_MODULE_HOOKS = (
    *_GRADIENT_HOOKS,
    "forward",
    "training_step",
    "backward",
    "optimizer_step",
    "optimizer_zero_grad",
    "on_train_batch_start",
    "on_train_batch_end",
)
_SEE_IMAGES = ("forward", "features", "training_step", "validation_step", "on_train_batch_start")
_TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_COUNTING = (WeightAveraging, StochasticWeightAveraging, ThroughputMonitor, SpikeDetection)


def needs_each_step(trainer: Trainer, module: TransferModule) -> str | None:
    """Say why a head's steps have to be taken one by one in Lightning's own loop; ``None`` if a plain loop does."""
    return _of_owners(trainer, module) or _of_options(trainer)


def _of_owners(trainer: Trainer, module: TransferModule) -> str | None:
    for callback in callbacks_of(trainer):
        if _sees_each_step(callback):
            return f"{type(callback).__name__} acts at each step"
    if (hook := _users_hook(trainer, module, _MODULE_HOOKS)) is not None:
        return f"{hook} acts at each step"
    if module._forward_hooks or module._forward_pre_hooks:  # of a head they are called by either loop
        return "a forward hook of the network acts at each step"
    return None


def needs_images(trainer: Trainer, module: TransferModule) -> str | None:
    """Say which part of the user's own would take maps for images, of which it cannot tell them by their shape."""
    hook = _users_hook(trainer, module, _SEE_IMAGES)
    return None if hook is None else f"{hook} may need images"


def _users_hook(trainer: Trainer, module: TransferModule, names: tuple[str, ...]) -> str | None:
    for owner, base, hooks in (
        (module, TransferModule, names + _TRANSFER_HOOKS),
        (data_of(trainer), ImageDataModule, _TRANSFER_HOOKS),
    ):
        if (name := own_hook(owner, base, hooks)) is not None:
            return f"{type(owner).__name__}.{name}"
    return None


def _of_options(trainer: Any) -> str | None:  # typed so: connectors set some attributes from outside its class
    if trainer.world_size > 1:
        return f"{trainer.world_size} processes share each step"
    if type(trainer.strategy) is not SingleDeviceStrategy:
        return f"trainer.strategy {type(trainer.strategy).__name__} acts at each step"
    if not isinstance(trainer.profiler, PassThroughProfiler):
        return "trainer.profiler times each step"
    if trainer.precision not in ("32-true", "bf16-mixed"):
        return f"trainer.precision {trainer.precision} acts at each step"
    if trainer._val_check_time_interval is not None:
        return "trainer.val_check_interval is a time"
    return None


def _sees_each_step(callback: Callback) -> bool:
    wish = getattr(callback, "needs_each_step", None)
    if wish is not None:
        return bool(wish)
    if isinstance(callback, ModelCheckpoint):
        return callback._every_n_train_steps > 0 or callback._train_time_interval is not None
    if isinstance(callback, LearningRateMonitor):
        return callback.logging_interval == "step"
    return isinstance(callback, _COUNTING) or own_hook(callback, Callback, _GRADIENT_HOOKS) is not None


def own_hook(owner: object, base: type, names: Iterable[str]) -> str | None:
    """Return the first of these methods that an object does not have from a class."""
    for name in names:
        if name in vars(owner) or getattr(type(owner), name) is not getattr(base, name):
            return name
    return None
