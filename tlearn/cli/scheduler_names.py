"""Refuse schedulers that a config cannot build, before the parser says something of their arguments."""

from __future__ import annotations

import re

from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves, read_config

_KEY = "model.lr_scheduler"


def check_scheduler_name(arguments: Arguments) -> None:
    """Look at the name that counts: the one on the command line, or else that of the last config with one.

    Raises:
        TlearnError: It is one that takes other schedulers, or the ReduceLROnPlateau that knows no metric.
    """
    name = _name(arguments)
    if nested := re.search(r"\b(SequentialLR|ChainedScheduler)\b", name):
        raise TlearnError(
            f"{_KEY}: {nested[1]} holds schedulers that a config cannot give; for a warm-up before any scheduler use "
            "model.warmup_steps or model.warmup_epochs, from Python give TransferModule a function that makes it"
        )
    if re.search(r"(?<!lightning\.pytorch\.cli\.)\bReduceLROnPlateau\b", name):
        raise TlearnError(
            f"{_KEY}: torch's ReduceLROnPlateau does not say which metric it follows; take "
            "lightning.pytorch.cli.ReduceLROnPlateau, with its monitor: val/loss"
        )


def _name(arguments: Arguments) -> str:
    for key in (f"--{_KEY}.class_path", f"--{_KEY}"):
        if typed := arguments.value_of(key):
            return typed
    for path in reversed(arguments.configs):
        config = dict(leaves(read_config(path)))
        for key in (f"{_KEY}.class_path", _KEY):
            if key in config:
                return str(config[key])
    return ""
