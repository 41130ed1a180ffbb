"""The base of all sets of images. Letters: N images, B in a batch, C channels, H and W pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch
from tlearn.data.images.augment import BatchAugment


class BatchKey(NamedTuple):
    """The key of a whole batch of an `ImageSet`.

    Attributes:
        epoch: Counted from 0; random transforms depend on it.
        positions: int64 (B,), positions in the dataset (not in the source).
    """

    epoch: int
    positions: Tensor

    def __reduce__(self) -> tuple[Any, ...]:
        """Send positions to worker processes by value; `Batch` sends its small parts back in the same way."""
        return _received, (self.epoch, self.positions.numpy())


def _received(epoch: int, positions: NDArray[Any]) -> BatchKey:
    return BatchKey(epoch, torch.from_numpy(positions))


class ImageSet(Dataset[Batch], ABC):
    """Some images of a source. Training and validation may share one source.

    Attributes:
        targets: Targets of the whole source, as in `Batch`.
        indices: int64, the positions in the source of the images of this set.
        groups: int64, the group of each image of the whole source, such as its site or patient, whose images are never
            divided between training and validation; ``None`` where there are none.
        transform: Random changes to a batch, or ``None``.
        nbytes: Size of the source on a device; 0 if it is never kept there.
        num_channels: C, the same for all images.
    """

    device = torch.device("cpu")
    nbytes = 0
    num_channels = 3
    groups: Tensor | None = None

    def __init__(self, targets: Tensor, indices: Tensor, transform: BatchAugment | None = None) -> None:
        """Hold references; nothing is copied."""
        self.targets, self.indices, self.transform = targets, indices, transform

    def __len__(self) -> int:
        """Count images, not batches."""
        return len(self.indices)

    @property
    @abstractmethod
    def shape_px(self) -> tuple[int, int]:
        """Return H and W, the same for all images."""

    @abstractmethod
    def part(self, indices: Tensor) -> Self:
        """Return other images of the same source."""

    @abstractmethod
    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return images, uint8 (B, C, H, W), and targets for positions in the source (B,), transformed."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash the whole source, pixels, targets and order."""

    def epoch_order(self, seed: int, sizes: Sequence[int], lanes: int) -> Tensor:
        """Draw the order of an epoch.

        Args:
            seed: The seed of this run and epoch.
            sizes: Sizes of the batches that the order is cut into.
            lanes: Number of processes that share each batch, each with its part of ``torch.tensor_split``.

        Returns:
            int64, positions in this set: all of them, or those that the batches hold.
        """
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))

    def draw_keys(self) -> Tensor:
        """Return int64 (N,), the keys that decide, with a seed, which images validate."""
        return torch.arange(len(self))

    def on(self, device: torch.device, transform: BatchAugment | None = None) -> Self:
        """Return the same images, served from a device if they can be kept there, and transformed."""
        there = self.part(self.indices)
        there.device, there.transform = device, transform
        return there

    def __getitem__(self, batch_key: BatchKey) -> Batch:
        """Serve a batch.

        Raises:
            TlearnError: The key is a plain number, as samplers of torch and Lightning give.
        """
        if not isinstance(batch_key, BatchKey):
            raise TlearnError(
                "expected whole-batch keys, got another sampler's (trainer.overfit_batches puts one in); "
                "use trainer.limit_train_batches or data.init_args.train_per_class"
            )
        rows = self.indices[batch_key.positions]
        images, targets = self.serve(rows, batch_key.epoch)
        return Batch(images, targets, rows)
