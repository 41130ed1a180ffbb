"""Content of a checkpoint beside the weights: tensors and plain values alone, so that it can be read again."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from copy import copy, deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import NotPlainError, plain
from tlearn.models.about import KEY, About
from tlearn.models.distillation.teacher import Distillation
from tlearn.models.metrics import EpochMetrics
from tlearn.models.network import Network
from tlearn.training.exact_resume import (
    end_restart,
    finished_epochs,
    pending_metric,
    prepare_resume,
    progress_of,
    step_pending,
)
from tlearn.training.typed import callbacks_of, own_data_of

# Lightning's keys of what constructors were given, of module and data module.
_OPTIONS = ("hyper_parameters", "datamodule_hyper_parameters")
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, Tensor, torch.nn.Parameter})
_NESTED = (dict, OrderedDict, list, tuple)


class ResumableModule(Network, LightningModule):
    """A network whose checkpoints hold all that it takes to answer, and to resume to the same bits.

    Attributes:
        train_metrics: Sums of the epoch at hand, which a checkpoint inside an epoch holds too.
        distillation: What a teacher adds to the loss, if there is one.
        start: Parameter or buffer name to its value before the first step, kept where an option needs it.
        rates_used: Group to the learning rate of the last step; empty before the first.
        is_resumed: The run goes on from a checkpoint, and has not begun to train yet.
        loaded_epochs: Epochs that the network had behind it when it was loaded, or when its fit ended.
    """

    train_metrics: EpochMetrics
    start: dict[str, Tensor]
    distillation: Distillation
    rates_used: dict[str, float]
    is_resumed: bool = False
    loaded_epochs: int = 0
    _pending_metric: float | None = None
    _pending_sums: dict[str, Any] | None = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the file a whole: task and class names, as plain values.

        Raises:
            TlearnError: A callback's state holds what could not be read again.
        """
        about = About(self.task, self.class_names, self.calibration, self.pictures, self.unit, self.rates_used)
        progress = progress_of(self.trainer)
        checkpoint[KEY] = about.as_plain() | {"pending_metric": pending_metric(self.trainer), "progress": progress}
        if progress is not None:
            checkpoint["tlearn_train_metrics"] = self.train_metrics.sums()
        if self.start:
            checkpoint["tlearn_start"] = self.start
        self.distillation.store(checkpoint)
        make_readable(checkpoint)  # in a Trainer of the user's there may be no other look at it

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that speaks of other classes than the data.

        Raises:
            TlearnError: Another task, or other class names; both are listed. A resume without the weight averaging that
                the checkpoint was written with.
        """
        about = About.in_checkpoint(checkpoint)
        resumes = self._trainer is not None and self._trainer.state.fn == "fit"
        if resumes:
            self.distillation.check_resume(checkpoint)
            self.refuse_resume(checkpoint)
            prepare_resume(checkpoint)
        self.restore(about)  # refuses before it changes anything
        if resumes:
            self.is_resumed, self._pending_sums = True, checkpoint.get("tlearn_train_metrics")
        self._pending_metric, self.rates_used = checkpoint[KEY].get("pending_metric"), about.rates
        self.start = checkpoint.get("tlearn_start", {})
        self.loaded_epochs = finished_epochs(checkpoint) if "loops" in checkpoint else 0  # none beside weights alone

    def refuse_resume(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on without the weight averaging that a checkpoint was written with, or with a new one.

        Raises:
            TlearnError: It is so.
        """
        was = "current_model_state" in checkpoint
        averages = any(isinstance(callback, WeightAveraging) for callback in callbacks_of(self.trainer))
        if was and not averages:
            raise TlearnError(
                "the checkpoint holds averaged weights; a resume needs the callback that averages: "
                "--trainer.callbacks+=EMAWeightAveraging, as before"
            )
        if averages and not was:
            raise TlearnError(
                "the checkpoint was written without averaging; resume without it, or start anew from its weights: "
                "--model.weights PATH"
            )

    def finish_resume(self) -> None:
        """Do what the checkpoint that is resumed came before; nothing in a run that begins."""
        if self._pending_metric is not None:
            step_pending(self.trainer, self._pending_metric)
            self._pending_metric = None
        if self._pending_sums is not None:
            self.train_metrics.add(self._pending_sums, self.device)
            self._pending_sums = None
        end_restart(self.trainer)

    def learn_of_pictures(self) -> None:
        """Remember how the run's data read their pictures, for all that answers later without the data."""
        if (data := own_data_of(self._trainer)) is not None:
            self.pictures = asdict(data.framing)


def make_readable(checkpoint: dict[str, Any]) -> None:
    """Turn numpy's numbers into Python's, in place, and refuse what could not be read from a file again.

    Args:
        checkpoint: What is about to be written. Values that are as they should be stay the same objects.

    Raises:
        TlearnError: It holds an object of another type, such as an array in the state of a callback; its key is named.
    """
    for name in _OPTIONS:
        if name in checkpoint:
            checkpoint[name] = _options(checkpoint[name])
    for name, value in checkpoint.items():
        checkpoint[name] = _numbers(value)
    for place, value in _strange(checkpoint, ()):
        if not _is_read_back(value):
            raise TlearnError(
                f"the checkpoint would hold a {type(value).__module__}.{type(value).__qualname__} in "
                f"{' / '.join(map(str, place))}, and could not be read again, so it is not written; keep tensors, "
                "numbers, texts, lists and dictionaries there"
            )


def keep_plain(options: Any, **known: Any) -> None:
    """Make hyper-parameters plain, in place, those of a subclass of the user's too.

    What cannot be made plain stays as it is, to be named when a checkpoint is written: a run may write none.

    Args:
        options: Name to value.
        **known: Values that take the place of those in ``options``.
    """
    for name, value in options.items():
        with suppress(NotPlainError):
            options[name] = plain(known.get(name, value))


def with_python_numbers(state: dict[str, Any]) -> None:
    """Turn numpy's numbers in a parameter group, or in a scheduler's attributes, into Python's, in place.

    A resumed run has Python's, and a product of float32 and float is another one than of two floats.
    """
    for name, value in state.items():
        if name not in ("params", "optimizer"):
            state[name] = _numbers(value)


def size_bytes(value: Any) -> int:
    """Return the size of the tensors in bytes; the rest of a checkpoint is small."""
    if isinstance(value, Tensor):
        return value.nbytes
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(size_bytes, parts))


def snapshot(value: Any) -> Any:
    """Copy what training will change. For tensors this takes a third of the time of ``deepcopy``."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)  # a GPU may have no memory left, and may fail
    if isinstance(value, dict):
        copied = copy(value)  # keeps the type: a state dict carries the versions of its layers
        copied.update({key: snapshot(item) for key, item in value.items()})
        return copied
    return [snapshot(item) for item in value] if type(value) is list else deepcopy(value)


def _options(options: Any) -> Any:
    try:
        return {name: plain(value) for name, value in options.items()}
    except NotPlainError:
        return options  # named below, with its place


def _numbers(value: Any) -> Any:
    """Return the value with numpy's numbers and texts as Python's; a part without any is the same object."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) not in _NESTED:
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    changed = {name: new for name, item in items if (new := _numbers(item)) is not item}
    return _replaced(value, changed) if changed else value


def _replaced(value: Any, changed: dict[Any, Any]) -> Any:
    if isinstance(value, dict):
        return type(value)((name, changed.get(name, item)) for name, item in value.items())
    return type(value)(changed.get(number, item) for number, item in enumerate(value))


def _strange(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield what is not surely read back, keys of dictionaries too, with where it stands."""
    if type(value) in _PLAIN:
        return
    if type(value) not in _NESTED:
        yield place, value
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if type(name) not in _PLAIN:
            yield (*place, repr(name)), name
        yield from _strange(item, (*place, name))


def _is_read_back(value: Any) -> bool:
    """Try it, on what is small: tensors never come here by themselves."""
    file = io.BytesIO()
    try:
        torch.save(value, file)
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # whatever it is that cannot be written or read
        return False
    return True
