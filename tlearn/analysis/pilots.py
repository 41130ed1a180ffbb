"""Take a few real steps of the strategies that could win, to time them and to see where they lead.

The half that leads on validation goes on, round after round (successive halving; Jamieson and Talwalkar, 2016, arXiv
1502.07943).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.candidates import Candidate
from tlearn.analysis.stage_features import network_like
from tlearn.analysis.stage_probe import score
from tlearn.base.machine import PeakMemory
from tlearn.base.progress import Progress, tracked
from tlearn.base.types import Batch
from tlearn.models.losses import compute_loss
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import run_over_split
from tlearn.training.strategies.head_solver import SolvedHead
from tlearn.training.strategies.plain_steps import training_batches, training_step
from tlearn.training.strategies.solved_head import put_head
from tlearn.training.typed import data_of

_NOT_FOR_PILOTS = ("optimizer", "lr_scheduler", "head_solver", "weights")  # they step themselves; weights are at hand
_STEP = 3  # forward passes that a step takes: the way back is twice that forth
_UNTIMED = 1  # steps: the first of a network allocates


@dataclass(frozen=True)
class PilotResult:
    """Where a pilot got to.

    Attributes:
        candidate: Name of the strategy.
        steps: Taken so far.
        step_time_s: Mean duration of a step.
        val_score: Score on validation.
        val_loss: Loss on validation.
        peak_memory_bytes: Peak memory of this process, or of the GPU, during the steps.
    """

    candidate: str
    steps: int
    step_time_s: float
    val_score: float
    val_loss: float
    peak_memory_bytes: int


class Pilot:
    """One strategy's network under way.

    Args:
        trainer: Gives data, precision and device.
        module: Gives the pretrained network; left as it is.
        candidate: The strategy.
        size_px: Side of what the network sees.
        head: Solved on the features that training begins with, for strategies that begin with one.
        planned_steps: After so many the learning rate would be 0, as in the run itself.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: TransferModule,
        candidate: Candidate,
        size_px: int,
        head: SolvedHead | None,
        planned_steps: int,
    ) -> None:
        self.candidate, self._trainer, self._planned = candidate, trainer, planned_steps
        self._module = network_for(module, candidate, size_px)
        if head is not None and candidate.options.get("head_init") == "probe":
            put_head(self._module, head)
        self._module.trainer = trainer
        self._module.to(module.device).setup("fit")
        self._module.train()
        self._optimizer = optimizer_of(self._module, candidate)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._batches: Iterator[Batch] = training_batches(trainer, self._module)
        self._times_s: list[float] = []
        self._peak_bytes = 0

    def costs(self, steps: int) -> tuple[int, int]:
        """Return what so many steps, and a look at validation, cost: in forward passes of an image."""
        data = data_of(self._trainer)
        return _STEP * steps * data.batch_size, len(data.dataset("val"))

    def go_on(self, steps: int) -> None:
        """Take so many more steps, at rates that fall to 0 along a cosine."""
        peak = PeakMemory(self._module.device)
        for _ in tracked(range(steps), "", steps, "steps"):
            done = len(self._times_s)
            factor = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * done / self._planned))))
            for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * factor
            start_s = time.perf_counter()
            training_step(self._trainer, self._module, self._optimizer, next(self._batches))
            if self._module.device.type == "cuda":
                torch.cuda.synchronize()
            self._times_s.append(time.perf_counter() - start_s)
        self._peak_bytes = max(self._peak_bytes, peak.bytes())

    def result(self) -> PilotResult:
        """Look at validation."""
        outputs, targets = run_over_split(self._trainer, self._module, "val", self._module.forward)
        wanted = self._module.learned(targets)
        timed = self._times_s[_UNTIMED:] or self._times_s
        return PilotResult(
            candidate=self.candidate.name,
            steps=len(self._times_s),
            step_time_s=sum(timed) / len(timed),
            val_score=score(self._module.task, outputs, wanted),
            val_loss=float(compute_loss(self._module.task, outputs, wanted)),
            peak_memory_bytes=self._peak_bytes,
        )


def run_pilots(pilots: Sequence[Pilot], steps: int, rounds: int) -> list[PilotResult]:
    """Let all take so many steps, then the better half again as many, and so on; the last result of each, best first.

    Args:
        pilots: At least one.
        steps: In each round.
        rounds: At most; one that is alone does not go on.
    """
    running, ended = list(pilots), list[PilotResult]()
    kept = _kept_in_rounds(len(pilots), rounds)
    costs = [cost for number in kept[:-1] for cost in pilots[0].costs(steps) for _ in range(number)]
    with Progress(count=len(costs), costs=costs) as trials:
        for going_on in kept[1:]:
            for pilot in running:
                trials.next(pilot.candidate.name)
                pilot.go_on(steps)
            results = list[tuple[PilotResult, Pilot]]()
            for pilot in running:
                trials.next(pilot.candidate.name)
                results.append((pilot.result(), pilot))
            order = sorted(results, key=lambda pair: pair[0].val_loss)
            ended = [result for result, _ in order[going_on:]] + ended
            running = [pilot for _, pilot in order[:going_on]]
    return ended


def _kept_in_rounds(pilots: int, rounds: int) -> list[int]:
    """Return how many pilots each round begins with; the last of these numbers is 0."""
    kept = [pilots]
    while kept[-1]:
        kept.append(0 if len(kept) == rounds or kept[-1] == 1 else (kept[-1] + 1) // 2)
    return kept


def network_for(module: TransferModule, candidate: Candidate, size_px: int) -> TransferModule:
    """Make the network that a strategy trains, from the pretrained one or, from scratch, from random weights."""
    options = {name: value for name, value in candidate.options.items() if name not in _NOT_FOR_PILOTS}
    made = network_like(module, size_px, candidate.options.get("weights", "same") is not None, **options)
    if made.objective.class_weights is not None and module.objective.class_weights is not None:
        # Balanced ones are known once a fit begins.
        made.objective.class_weights.copy_(module.objective.class_weights)
    return made


def optimizer_of(module: TransferModule, candidate: Candidate) -> torch.optim.Optimizer:
    """Make the optimizer that a strategy names, over all that trains."""
    given: dict[str, Any] = candidate.options["optimizer"]
    trained: list[Tensor] = [parameter for parameter in module.parameters() if parameter.requires_grad]
    made: torch.optim.Optimizer = getattr(torch.optim, given["class_path"])(trained, **given["init_args"])
    return made
