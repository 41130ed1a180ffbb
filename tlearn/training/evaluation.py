"""The network's answers of a validation or test pass, collected once for everything that reads them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.processes import gathered
from tlearn.base.types import Batch, Task
from tlearn.data.datamodule import Split
from tlearn.models.calibration import AS_TRAINED, Calibration
from tlearn.models.reliability.calibration_error import reliability_of


class Outputs(NamedTuple):
    """The answers of one pass. N images, K classes.

    Attributes:
        split: ``val`` or ``test``; ``train`` for answers out of fold.
        epoch: Counted from 1. In a test it is the checkpoint's epoch, or 0 if nothing was trained.
        logits: float32 (N, K), or values (N, K), on the CPU.
        targets: Class numbers (N,), 0 and 1 (N, K) for several labels, values (N, K).
        indices: int64 (N,), positions in the source.
    """

    split: Split
    epoch: int
    logits: Tensor
    targets: Tensor
    indices: Tensor


class Evaluation:
    """Collects the answers of the pass at hand, and keeps those of the last finished pass.

    `TransferModule` has one. It is finished in ``on_validation_epoch_end``, so every callback can read `last` in
    ``on_validation_end``, wherever it stands in the trainer's list.

    Attributes:
        last: The last finished pass. ``None`` before the first; a sanity check does not count.
    """

    def __init__(self) -> None:
        self.last: Outputs | None = None
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def begin(self) -> None:
        """Drop the batches of a pass that was not finished."""
        self._parts = []

    @property
    def count(self) -> int:
        """Count the images of the pass at hand so far."""
        return sum(len(output) for output, _, _ in self._parts)

    def add(self, output: Tensor, batch: Batch) -> None:
        """Keep the answers to a batch, (B, K)."""
        self._parts.append((output, batch.targets, batch.indices))

    def finish(self, split: Split, epoch: int) -> Outputs | None:
        """Put the batches of all processes together, in the order of the source.

        Returns:
            The pass, which is `last` from now on; ``None`` if there was no batch.
        """
        if not self._parts:
            return None
        logits, targets, indices = (torch.cat(gathered(torch.cat(parts))) for parts in zip(*self._parts, strict=True))
        self._parts = []
        order = indices.argsort()  # one process serves the images in this order, several do not
        self.last = Outputs(split, epoch, logits.float()[order], targets[order], indices[order])
        return self.last

    def validated(self, epoch: int) -> bool:
        """Tell whether the last pass was the validation of this epoch, counted from 1."""
        return self.last is not None and (self.last.split, self.last.epoch) == ("val", epoch)

    def stages(self, epoch: int) -> tuple[str, ...]:
        """Return the prefixes of the metrics that an epoch, counted from 1, has: ``val/`` only if it was validated."""
        return ("train/", "val/") if self.validated(epoch) else ("train/",)


def calibration_errors(task: Task, outputs: Outputs, calibration: Calibration) -> dict[str, float]:
    """Return the expected calibration error before and after calibration, by the names that are logged."""
    return {
        f"{outputs.split}/{name}": reliability_of(task, outputs.logits, outputs.targets, value).ece
        for name, value in (("ece", AS_TRAINED), ("ece_scaled", calibration))
    }
