"""What a checkpoint says of its network beside the weights, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import same_names
from tlearn.base.plain_values import plain
from tlearn.base.types import Task
from tlearn.models.calibration import AS_TRAINED, Calibration, calibration_in
from tlearn.models.target_unit import AS_IT_IS, TargetUnit, unit_in

KEY = "tlearn"  # in a checkpoint


@dataclass(frozen=True)
class About:
    """What turns a network's output into an answer.

    Attributes:
        task: What the head gives.
        class_names: Names of the classes, or of a regression's columns.
        calibration: What turns logits into probabilities.
        pictures: How picture files become what the network was trained on, see `tlearn.data.Framing`; ``None`` where
            nobody has said.
        unit: The unit of a regression's values.
        rates: Group of parameters to the learning rate of the last step.
    """

    task: Task
    class_names: list[str]
    calibration: Calibration = AS_TRAINED
    pictures: dict[str, Any] | None = None
    unit: TargetUnit = AS_IT_IS
    rates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def in_checkpoint(cls, checkpoint: Mapping[str, Any]) -> About:
        """Read what `as_plain` has written.

        Raises:
            TlearnError: The checkpoint is not tlearn's.
        """
        if KEY not in checkpoint:
            raise TlearnError("not a checkpoint of tlearn; to start from its weights use --model.weights PATH")
        said = checkpoint[KEY]
        return cls(
            task=said["task"],
            class_names=list(said["class_names"]),
            calibration=calibration_in(said),
            pictures=said.get("pictures"),
            unit=unit_in(said),
            rates=said.get("rates", {}),
        )

    def as_plain(self) -> dict[str, Any]:
        """Return it as a checkpoint holds it."""
        said: dict[str, Any] = {"format": 1, "task": self.task, "class_names": list(self.class_names)}
        said |= {**self.calibration._asdict(), "pictures": plain(self.pictures), "rates": self.rates}
        return said | ({"unit": [list(part) for part in self.unit]} if self.task == "regression" else {})

    def check_for(self, task: Task, names: list[str]) -> None:
        """Refuse a checkpoint of another task, or of other classes than the data's.

        Raises:
            TlearnError: They differ, names by more than how they are written; both are named.
        """
        if self.task != task:
            raise TlearnError(
                f"the checkpoint's network is for {self.task}, this one for {task}; to start from its weights: "
                "--model.weights PATH"
            )
        if not same_names(self.class_names, names):
            raise TlearnError(
                f"the checkpoint knows {len(self.class_names)} classes ({', '.join(self.class_names)}), the data have "
                f"{len(names)} ({', '.join(names)}); to start from it: --model.weights PATH"
            )
