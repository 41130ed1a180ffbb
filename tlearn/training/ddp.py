"""Several processes (DDP): weights of their losses, wrapping anew, and one end for all."""

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
    """Let DDP see which parameters train now.

    It listens only to those that require a gradient when it wraps a network: a stage that opens later would learn from
    each process's own images, and the copies would drift apart without a word.
    """
    strategy: Any = trainer.strategy
    if isinstance(strategy.model, DistributedDataParallel):
        strategy.model = strategy.lightning_module  # the old wrapper goes, and with it what listened
        strategy.configure_ddp()


def weight_among_processes(task: Task, targets: Tensor, class_weights: Tensor | None, processes: int) -> Tensor:
    """Return what a process's mean loss is multiplied with, so that DDP's mean of gradients is that of all images.

    DDP takes the processes for equals, whereas the last batch of an epoch need not divide evenly, and classes may
    weigh differently.

    Args:
        task: Decides what the mean is over.
        targets: Class numbers (B,), shares (B, K), several labels (B, K) of which unknown ones do not count, or values.
        class_weights: Weight of each class (K,); then the mean is over weights, where targets are class numbers.
        processes: How many there are.
    """
    weighted = task == "classification" and class_weights is not None and targets.ndim == 1
    own = class_weights[targets].sum() if weighted and class_weights is not None else known_share(task, targets).sum()
    everyone = summed(own)
    return processes * own / everyone.where(everyone > 0, 1.0)  # nobody's batch has a known label


class EndTogetherCallback(Callback):
    """End the processes that this one started, when it fails: they might wait for it for half an hour.

    They write nothing, so nothing is lost. Where torchrun or SLURM started them, it ends them.
    """

    after: ClassVar = (Callback,)  # it stands last, behind all that writes what there is

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Kill them: a process that waits for another hears no milder signal."""
        launcher: Any = trainer.strategy.launcher
        processes = getattr(launcher, "procs", [])
        for process in processes:
            process.send_signal(signal.SIGKILL)
        processes.clear()  # or Lightning, which looks after them, kills this one too, in the middle of its last words
