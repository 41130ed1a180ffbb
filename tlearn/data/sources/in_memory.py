"""The base of data modules whose images fit into memory. Letters: N images, H and W pixels, K labels or columns."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from tlearn.base.machine import cores_allowed
from tlearn.base.types import Task
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.in_memory import InMemoryImages

log = logging.getLogger(__name__)


class InMemoryDataModule(ImageDataModule):
    """Images in memory: small sets, whose pictures are all of one size."""

    @abstractmethod
    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read the training or the test source, and nothing of the other.

        Returns:
            Images, uint8 (N, 3, H, W), and targets: int64 (N,), float32 (N, K) of 0, 1 and NaN (unknown) for several
            labels, or float32 (N, K) of numbers for regression. An image without a target is left out but keeps its
            place: class -1, a number that is NaN, or labels that are all NaN.
        """

    def open_split(self, split: Split) -> ImageSet | None:
        """Load a split; validation is split off."""
        if split == "val":
            return None
        images, targets = self.load_split(split)
        return InMemoryImages(images, targets, _usable(targets, self.task))

    def setup(self, stage: str) -> None:
        """Read and split what a stage needs."""
        if stage != "test" and self.num_workers > cores_allowed():
            log.warning(
                "num_workers %d on %d cores: the images are in memory, 0 is fastest",
                *(self.num_workers, cores_allowed()),
            )
        super().setup(stage)


def _usable(targets: Tensor, task: Task) -> Tensor:
    left_out = targets.isnan() if targets.is_floating_point() else targets < 0
    if task == "multilabel":
        left_out = left_out.all(dim=1)
    return torch.nonzero(~left_out.flatten(1).any(dim=1) if left_out.ndim > 1 else ~left_out).flatten()
