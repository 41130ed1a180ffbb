"""Squares that a file holds, in memory: what photographs from a folder are compared with."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from tlearn.data.sources.bases import InMemoryDataModule


class SquaresDataModule(InMemoryDataModule):
    """Images and targets of a file that ``torch.save`` wrote."""

    def __init__(self, squares: str, **options: Any) -> None:
        """Take the file's path."""
        super().__init__(class_names=["class0", "class1"], **options)
        self.squares = squares

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read it."""
        images, targets = torch.load(self.squares, weights_only=True)
        return images, targets
