"""Refuse callbacks and schedulers that take the worst value of a metric for its best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from tlearn.base.errors import TlearnError

_LOWER = ("loss", "mae", "mse", "rmse", "ece", "nll", "brier")
_HIGHER = ("acc", "f1", "map", "r2", "auroc", "precision", "recall")


def better_mode(metric: str) -> Literal["min", "max"] | None:
    """Return whether less or more of a metric is better; ``None`` where that cannot be told, as for a temperature.

    Args:
        metric: As it is logged, ``val/acc_macro`` for instance: its first word behind the stage tells.
    """
    word = metric.rpartition("/")[2].split("_")[0]
    return "min" if word in _LOWER else "max" if word in _HIGHER else None


def check_monitor_modes(owners: Iterable[Any]) -> None:
    """Check all that have a ``monitor`` and a ``mode``: EarlyStopping, ModelCheckpoint, ReduceLROnPlateau.

    Args:
        owners: Callbacks and schedulers; others are passed over.

    Raises:
        TlearnError: One looks the wrong way, as all three do by default with a metric of which more is better.
    """
    for owner in owners:
        monitor, mode = getattr(owner, "monitor", None), getattr(owner, "mode", None)
        wanted = better_mode(monitor) if isinstance(monitor, str) else None
        if wanted is not None and mode in ("min", "max") and mode != wanted:
            more, takes = ("more", "the lowest") if wanted == "max" else ("less", "the highest")
            raise TlearnError(
                f"{type(owner).__name__} monitors {monitor}, of which {more} is better, with mode {mode}: it would "
                f"take {takes} for the best; set its mode to {wanted}"
            )
