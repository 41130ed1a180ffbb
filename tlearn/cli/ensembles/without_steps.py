"""A fit that takes no step of an optimizer: it solves a head, or puts trained networks together."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jsonargparse import Namespace

log = logging.getLogger(__name__)

# Options of training by steps, on random changes of images; those that a solved head refuses are not among them.
_OF_STEPS = ("trainer.max_epochs", "model.optimizer", "data.augment")


def settle_without_steps(config: Namespace, typed: Sequence[str] = ()) -> None:
    """Give a fit without steps, which solves a head or averages, its one epoch; say which typed options it ignores."""
    solver, is_ensemble = config.model.head_solver, bool(config.model.get("ensemble"))
    if solver == "sgd" and not is_ensemble:
        return
    config.trainer.max_epochs = config.trainer.check_val_every_n_epoch = 1
    names = dict.fromkeys(name.removeprefix("--").replace(".init_args.", ".") for name in typed)
    idle = [name for name in names if name.startswith(_OF_STEPS)]
    if idle:
        option = "model.ensemble" if is_ensemble else f"model.head_solver {solver}"
        way = "" if is_ensemble else "; to train by steps: --model.head_solver sgd"
        log.warning(
            "%s takes no steps, so %s %s nothing%s",
            *(option, " and ".join(idle), "does" if len(idle) == 1 else "do", way),
        )
