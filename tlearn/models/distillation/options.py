"""Options of learning from a teacher: a frozen group that checks itself."""

from __future__ import annotations

from dataclasses import dataclass

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.models.distillation.defaults import SHARE, TEMPERATURE
from tlearn.models.options import Options, above_0, share, text


@dataclass(frozen=True)
class DistillOptions(Options):
    """Whom a network learns from beside the labels; see `tlearn.TransferModule` for each option."""

    distill_from: str | None = None
    distill_weight: float | None = None
    distill_temperature: float | None = None

    def check(self) -> None:
        """Check the numbers, and that none stands without a teacher."""
        for option in ("distill_weight", "distill_temperature"):
            if (value := getattr(self, option)) is not None and self.distill_from is None:
                raise TlearnError(
                    f"model.{option} {value} does nothing without a teacher; name one: model.distill_from"
                )
            above_0(option, value)
        if self.distill_from is None:
            return
        text("distill_from", self.distill_from)
        if not self.distill_from:
            raise TlearnError("model.distill_from is empty; name a run or a checkpoint, or drop the option")
        if self.distill_weight is not None:
            share("distill_weight", self.distill_weight)

    def settled_for(self, task: Task) -> DistillOptions:
        """Return the options with a number for each one that nobody has said.

        Raises:
            TlearnError: A temperature for values, which have none.
        """
        if self.distill_from is None:
            return self
        if task == "regression" and self.distill_temperature is not None:
            raise TlearnError("model.distill_temperature softens probabilities, and values have none; drop it")
        softens = None if task == "regression" else self.distill_temperature or TEMPERATURE
        return DistillOptions(self.distill_from, self.distill_weight or SHARE, softens)

    def check_steps(self, without_steps: str) -> None:
        """Refuse a fit that takes no step of an optimizer, in which a teacher would do nothing.

        Args:
            without_steps: The option by which it takes none; empty where it takes some.

        Raises:
            TlearnError: It takes none.
        """
        if self.distill_from is not None and without_steps:
            raise TlearnError(
                f"model.distill_from teaches in the steps of training, and {without_steps} takes none; train by steps: "
                "--config lp_ft.yaml, or --model.head_solver sgd"
            )
