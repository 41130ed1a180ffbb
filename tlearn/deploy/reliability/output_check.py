"""Check the further outputs of an export against the library's: they may differ where a threshold is as near."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.exported import WorthOutputs


class OutputCheck:
    """Compares outputs, batch by batch.

    Args:
        assessor: Has fitted what the outputs tell.
        tolerance: By how much a probability, or a stranger's score, may differ.
    """

    def __init__(self, assessor: Assessor, tolerance: float) -> None:
        self._least, self._most = (WorthOutputs(assessor, slack) for slack in (-tolerance, tolerance))
        self._tolerance, self._wrong = tolerance, dict.fromkeys(self._least.names, 0)

    def add(self, seen: tuple[Tensor, Tensor, Tensor], given: Sequence[Tensor]) -> None:
        """Compare the outputs for a batch.

        Args:
            seen: The library's features (N, D), outputs of the head (N, K) in the user's unit, and answers (N, K).
            given: The file's further outputs, in the order of `WorthOutputs.names`.
        """
        for name, least, most, each in zip(self._wrong, self._least(*seen), self._most(*seen), given, strict=True):
            if name in ("low", "high"):
                room = self._tolerance * (1 + least.abs())
                fits = (each - least).abs() <= room
            elif name == "stranger":
                fits = (most <= each) & (each <= least)
            else:
                fits = (least <= each) & (each <= most)
            self._wrong[name] += int((~fits).reshape(len(each), -1).any(dim=1).sum())

    def fault(self) -> str:
        """Say which outputs differ, and for how many images; empty if none does."""
        return ", ".join(f"{name} of {count} images" for name, count in self._wrong.items() if count)

    def __str__(self) -> str:
        """Name the outputs that were compared."""
        return ", ".join(self._wrong)


def as_seen(features: Tensor, output: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Move what the library saw and answered to where the outputs are compared."""
    first, second, third = (each.detach().to("cpu", torch.float32) for each in (features, output, answers))
    return first, second, third
