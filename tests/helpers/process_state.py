"""What a command could change in the process that calls it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from typing import Any

import jsonargparse
import torch
from jsonargparse._common import parsing_settings
from lightning.pytorch.utilities import rank_zero_only


def state() -> dict[str, Any]:
    """What a command changes in the process."""
    loggers = ("tlearn", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.callbacks.early_stopping")
    found = [logging.getLogger(name) for name in loggers]
    return {
        "warnings": list(warnings.filters),
        "thread hook": threading.excepthook,
        "loggers": [(each.level, each.propagate, list(each.handlers)) for each in found],
        "threads": torch.get_num_threads(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "loader": jsonargparse.get_loader("yaml"),
        "parser": {**parsing_settings, "import_path_verdicts": dict(parsing_settings["import_path_verdicts"])},
        "open": vars(jsonargparse._paths).get("open"),
        "rank": getattr(rank_zero_only, "rank", None),
        "variables": {name: value for name, value in os.environ.items() if name.startswith("PL_")},
    }
