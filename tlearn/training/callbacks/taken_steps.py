"""What callbacks learn of the steps that a plain loop takes on cached features. S batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class TakenSteps:
    """What a plain loop did in one go; callbacks find it under ``outputs["taken"]`` in ``on_train_batch_end``.

    Attributes:
        first_step: Steps of the optimizer before it, those of earlier epochs too.
        names: Of the optimizer's groups.
        images: How many it showed.
        losses: What was minimised, of each of its S batches.
        steps: Steps of the optimizer behind each of these batches.
        rates: Of each step, the learning rates of the groups.
    """

    first_step: int
    names: list[str]
    images: int = 0
    losses: list[Tensor] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)

    def each(self) -> Iterator[tuple[Tensor, int]]:
        """Yield the loss of each batch, and the steps behind it."""
        return zip(self.losses, self.steps, strict=True)

    def rates_of(self, step: int) -> dict[str, float]:
        """Return the learning rates of one of its steps by name; steps are counted from 0 at the run's start."""
        return dict(zip(self.names, self.rates[step - self.first_step], strict=True))

    def logged(self, every: int) -> list[int]:
        """List its steps, counted from 0 at the run's start, that are logged if one of so many is; 0 logs none."""
        end = self.first_step + len(self.rates)
        return [step for step in range(self.first_step, end) if (step + 1) % every == 0] if every else []
