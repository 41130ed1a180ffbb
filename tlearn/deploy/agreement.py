"""Whether an exported file answers as the library does. Letters: N images, K classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tlearn.base.types import LABEL_THRESHOLD, Task
from tlearn.deploy.examples import Examples
from tlearn.models.modes import evaluating
from tlearn.training.module import TransferModule

Answer = Callable[[Tensor], Tensor]

MOST_CHECKED = 256
TOLERANCE = 1e-4  # in a probability; of the values' spread in a regression
_TIE = 1e-6  # two classes that float32 cannot tell apart
_BATCH = 32


@dataclass(frozen=True)
class Agreement:
    """How near the answers of two implementations are.

    Attributes:
        task: The network's.
        images: N.
        share: Of images with the same class, or of labels; 1 for a regression.
        difference: The largest, in a probability, or as a part of the values' spread.
    """

    task: Task
    images: int
    share: float
    difference: float

    @property
    def holds(self) -> bool:
        """Tell whether one can stand for the other; not so where anything is no number."""
        return self.share == 1 and self.difference <= TOLERANCE

    def __str__(self) -> str:
        """Say both figures."""
        if self.task == "regression":
            return f"largest difference {self.difference:.1e} of the values' spread"
        what = "labels agree" if self.task == "multilabel" else "top-1 agrees"
        return f"{what} on {100 * self.share:.2f} %, largest difference {self.difference:.1e}"


def compare(task: Task, wanted: Tensor, given: Tensor) -> Agreement:
    """Compare answers, (N, K) probabilities or values.

    Args:
        task: The network's.
        wanted: What the library answers.
        given: What the file answers.
    """
    difference = float((wanted - given).abs().max())
    if task == "regression":
        spread = wanted.amax(dim=0) - wanted.amin(dim=0)
        spread = spread.where(spread > 0, wanted.abs().amax(dim=0).clamp_min(1.0))
        return Agreement(task, len(wanted), 1.0, float(((wanted - given).abs() / spread).max()))
    if task == "multilabel":
        same = ((wanted >= LABEL_THRESHOLD) == (given >= LABEL_THRESHOLD)) | ((wanted - LABEL_THRESHOLD).abs() <= _TIE)
    else:
        chosen = wanted.gather(1, given.argmax(dim=1, keepdim=True))
        same = chosen >= wanted.max(dim=1, keepdim=True).values - _TIE
    return Agreement(task, len(wanted), float(same.double().mean()), difference)


def check(module: TransferModule, answer: Answer, examples: Examples) -> Agreement:
    """Ask both for the same images, in batches of different sizes: an answer must not depend on its batch.

    Args:
        module: The library's network; its mode is left as it is.
        answer: What the file answers for uint8 (N, 3, S, S).
        examples: The images.
    """
    wanted, given = list[Tensor](), list[Tensor]()
    with evaluating(module):
        for batch in examples.to_check(MOST_CHECKED, _BATCH):
            wanted.append(module.answer(batch.images.to(module.device)).cpu())
            first, rest = batch.images[:1], batch.images[1:]
            given += [answer(first), *([answer(rest)] if len(rest) else [])]
    return compare(module.task, torch.cat(wanted), torch.cat(given))
