"""Several processes (DDP): the weight of each one's loss, rewrapping when stages open, and a common end."""

from __future__ import annotations

import signal
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tlearn.base.processes import summed
from tlearn.base.types import Task
from tlearn.models.losses import known_share


def wrap_anew(trainer: Trainer) -> None:
    """Wrap the network in DDP again, after a stage has opened.

    DDP synchronises only the parameters that require a gradient when it wraps a network. A stage that opens later would
    learn from each process's own images, and the copies would silently drift apart.
    """
    strategy: Any = trainer.strategy
    if isinstance(strategy.model, DistributedDataParallel):
        strategy.model = strategy.lightning_module  # drops the old wrapper and its hooks
        strategy.configure_ddp()


def weight_among_processes(task: Task, targets: Tensor, class_weights: Tensor | None, processes: int) -> Tensor:
    """Return the factor on a process's mean loss that makes DDP's mean of gradients the mean over all images.

    DDP gives each process the same weight. But the last batch of an epoch may divide unevenly, and classes may have
    different weights.

    Args:
        task: Decides what the mean is over.
        targets: Class numbers (B,), shares (B, K), several labels (B, K) of which unknown ones do not count, or values.
        class_weights: Weight of each class (K,). The mean is then weighted, if targets are class numbers.
        processes: The number of processes.
    """
    weighted = task == "classification" and class_weights is not None and targets.ndim == 1
    own = class_weights[targets].sum() if weighted and class_weights is not None else known_share(task, targets).sum()
    everyone = summed(own)
    return processes * own / everyone.where(everyone > 0, 1.0)  # 0 if no process has a known label


class EndTogetherCallback(Callback):
    """If this process fails, kill those that it started; they might wait for it for half an hour.

    They write nothing, so nothing is lost. Processes that torchrun or SLURM started are ended by it.
    """

    after: ClassVar = (Callback,)  # after everything that still writes files

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Kill them; a process that waits in a collective call reacts to no milder signal."""
        launcher: Any = trainer.strategy.launcher
        processes = getattr(launcher, "procs", [])
        for process in processes:
            process.send_signal(signal.SIGKILL)
        processes.clear()  # else Lightning's observer kills this process too, while it still reports the error
