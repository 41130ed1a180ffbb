"""Let a checkpoint that was written inside an epoch go on exactly there.

Lightning 2.6.6 goes on with the next batch, but takes an epoch whose last batch is done for a finished one: its
validation, best.ckpt and ReduceLROnPlateau would be left out (fit_loop.py, ``reset`` and ``on_advance_end``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer

from tlearn.base.errors import TlearnError


def finished_epochs(checkpoint: Mapping[str, Any]) -> int:
    """Count the epochs that a checkpoint has behind it; one that it was written in is not among them."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def steps_done(trainer: Trainer) -> bool:
    """Tell whether no gradient waits for the batches to come: only then a checkpoint holds all there is."""
    return not trainer.fit_loop.epoch_loop._should_accumulate()


def progress_of(trainer: Trainer) -> dict[str, bool] | None:
    """Describe where in an epoch a checkpoint is written; ``None`` between two of them."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    if epochs.started <= epochs.processed:  # its last hooks have begun
        return None
    loop: Any = trainer.fit_loop.epoch_loop
    validates = trainer.validating or loop._should_check_val_fx(trainer.fit_loop._data_fetcher)
    return {"validates": bool(validates), "accumulates": not steps_done(trainer)}


def prepare_resume(checkpoint: dict[str, Any]) -> None:
    """Put what Lightning is about to read into the form that makes it finish the epoch.

    Raises:
        TlearnError: The file was written between two batches of one step, whose gradients it does not hold.
    """
    progress = checkpoint["tlearn"].get("progress")
    if progress is None:
        return
    if progress["accumulates"]:
        raise TlearnError(
            "the checkpoint was written between two batches of one step (trainer.accumulate_grad_batches), whose "
            "gradients it does not hold; resume from another one, as last.ckpt"
        )
    loops = checkpoint["loops"]["fit_loop"]
    batches = loops["epoch_loop.batch_progress"]
    if not progress["validates"] and not batches["is_last_batch"]:
        return
    for counters in (batches["total"], batches["current"]):
        counters["completed"] = counters["processed"]
    if progress["validates"]:
        begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        validation = loops["epoch_loop.val_loop.batch_progress"]
        validation["total"], validation["current"] = begun, dict.fromkeys(begun, 0)
    else:
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1


def end_restart(trainer: Trainer) -> None:
    """Let the epoch that is gone on with end as any other: Lightning would not step its ReduceLROnPlateau."""
    if trainer.fit_loop.restarted_mid_epoch:
        trainer.fit_loop._restarting = False
