"""Leave out warnings that the user can do nothing about. Each entry says why; any other warning is shown."""

from __future__ import annotations

import logging
import random
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only

from tlearn.base.files import known_disk_fault
from tlearn.base.terminal.wrapping import wrapped
from tlearn.cli.isolation import undo_later

_EXPECTED = (
    # Frozen modules are in eval mode at the start of fit on purpose: frozen means frozen (models/freezing.py).
    r"Found \d+ module\(s\) in eval mode at the start of training",
    # A small data set has its curve all the same: train/loss and train/acc are logged once an epoch.
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    # The images are in memory: on 2 cores worker processes only cost time.
    r"The '\w+_dataloader' does not have many workers",
    # Our own line says so once, for all loaders.
    r"This DataLoader will create \d+ worker processes in total",
    # test and predict need none of the callbacks that wrote the checkpoint.
    r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    # Values that are logged are of all processes already.
    r"It is recommended to use `self\.log\('.+', \.\.\., sync_dist=True\)`",
    # A batch brings the positions of its images itself.
    r"Couldn't infer the batch indices fetched from your dataloader",
    # Resuming last.ckpt goes on in its run folder, which is not empty then.
    r"Checkpoint directory .* exists and is not empty",
    # All groups exist from the first step: BackboneFinetuning finds there what it wants to add.
    r"The provided params to be frozen already exist within another group",
    # Who types --trainer.accelerator cpu knows.
    r"(GPU|MPS) available but not used",
    # The CLI links the data's class names into the model; Lightning asks for a second run folder for no reason.
    r"Experiment logs directory .* exists and is not empty",
)
_PICTURES = (
    # Pillow refuses what is twice as large as it warns of; the doctor names those.
    r"Image size \(\d+ pixels\) exceeds limit",
    # A camera's damaged notes beside a good picture.
    r"Corrupt EXIF data",
    r"Truncated File Read",
)
_UPSTREAM = (
    # lightning 2.6.6 with torch 2.14: its own helper uses a name that torch has deprecated.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # lightning 2.6.6 with jsonargparse 4.53: LightningCLI still calls names that go away in jsonargparse 5.
    r"\s*By default only one JsonargparseDeprecationWarning",
    r"[\s\S]*was deprecated in v4\.\d+\.0 and will be removed in v5\.0\.0",
)


def quieten() -> None:
    """Leave out the warnings above and Lightning's notes about devices; print our own notes plainly on stderr.

    `isolated` puts all of it back, and torch's number of threads, which `limit_threads` changes.
    """
    undo_later(partial(torch.set_num_threads, torch.get_num_threads()))
    undo_later(partial(random.setstate, random.getstate()))
    undo_later(partial(np.random.set_state, np.random.get_state()))
    undo_later(partial(torch.set_rng_state, torch.get_rng_state()))
    for message in (*_EXPECTED, *_PICTURES, *_UPSTREAM):
        warnings.filterwarnings("ignore", message=message)
    if not isinstance(threading.excepthook, _ThreadHook):
        undo_later(partial(setattr, threading, "excepthook", threading.excepthook))
        threading.excepthook = _ThreadHook(threading.excepthook)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = _logger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers = [
            _StderrHandler() if type(each) is logging.StreamHandler else each for each in logger.handlers
        ]
    _logger("lightning.pytorch.callbacks.early_stopping").setLevel(logging.INFO)  # speaks if it is verbose
    ours = _logger("tlearn")
    is_first = getattr(rank_zero_only, "rank", 0) == 0
    ours.setLevel(logging.INFO if is_first else logging.ERROR)  # of several processes one speaks
    ours.propagate = False
    ours.handlers = [_StderrHandler()]


class _StderrHandler(logging.StreamHandler[Any]):
    """Write to what is stderr at that time: above a line of progress, if there is one."""

    @property
    def stream(self) -> Any:
        """Return it."""
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None:
        """Ignore what was stderr when this was made."""

    def format(self, record: logging.LogRecord) -> str:
        """Wrap long lines where stderr is a terminal."""
        return wrapped(super().format(record), self.stream)


def _logger(name: str) -> logging.Logger:
    """Return a logger whose level and handlers are put back later."""
    logger = logging.getLogger(name)

    def put_back(level: int, propagate: bool, handlers: list[logging.Handler]) -> None:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers

    undo_later(partial(put_back, logger.level, logger.propagate, list(logger.handlers)))
    return logger


class _ThreadHook:
    """Name TensorBoard's file when a full disk ends the thread that writes it.

    The next event that is written raises the same exception, which is then reported in one line.

    Args:
        before: The hook for all other exceptions.
    """

    def __init__(self, before: Callable[[Any], object]) -> None:
        self._before = before

    def __call__(self, args: Any, /) -> None:
        writer: Any = getattr(getattr(args.thread, "_record_writer", None), "_writer", None)
        if writer is not None and isinstance(args.exc_value, OSError):
            args.exc_value.filename = args.exc_value.filename or writer.filename
            if known_disk_fault(args.exc_value):
                return
        self._before(args)
