"""A process that fails ends the others of its run."""

from __future__ import annotations

import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class EndTogetherCallback(Callback):
    """End the processes that this one started, when it fails: they might wait for it for half an hour.

    They write nothing, so nothing is lost. Where torchrun or SLURM started them, it ends them. It stands last in the
    trainer's list, behind all that writes what there is.
    """

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Kill them: a process that waits for another hears no milder signal."""
        launcher: Any = trainer.strategy.launcher
        processes = getattr(launcher, "procs", [])
        for process in processes:
            process.send_signal(signal.SIGKILL)
        processes.clear()  # or Lightning, which looks after them, kills this one too, in the middle of its last words
