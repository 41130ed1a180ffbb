"""Images, or their features, in memory as one tensor. Letters: N images, B in a batch, C channels, H and W pixels.

Per-image Python costs more than a small network's forward pass. So the sampler yields one key for a whole batch, and
the dataset answers it with one gather. The key carries the epoch, because persistent workers are not told of a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tlearn.base.types import Batch
from tlearn.data.images.augment import BatchAugment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.keyed_random import uniform

_VIEW = 100  # the random stream of views; augmentation uses lower numbers


class InMemoryImages(ImageSet):
    """Images of one tensor, of which each device holds one copy for all parts."""

    def __init__(self, images: Tensor, targets: Tensor, indices: Tensor, transform: BatchAugment | None = None) -> None:
        """Hold references; nothing is copied.

        Args:
            images: uint8 (N, C, H, W), the whole source.
            targets: (N, ...), the whole source's.
            indices: int64, the positions in the source that are this dataset.
            transform: Random changes to a batch.
        """
        super().__init__(targets, indices, transform)
        self.images = images
        self.nbytes, self.num_channels = images.nbytes, images.shape[1]
        self._copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return H and W."""
        height, width = self.images.shape[-2:]
        return height, width

    def part(self, indices: Tensor) -> InMemoryImages:
        """Return other images of the same source; they share its copies on devices."""
        part = InMemoryImages(self.images, self.targets, indices)
        part._copies, part.groups = self._copies, self.groups
        return part

    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Gather a batch on the device and transform it; the source is copied there with the first batch."""
        images, targets = self._source()
        there = rows.to(self.device, non_blocking=True)
        images = images.index_select(0, there)  # four times as fast as images[rows]
        targets = targets.index_select(0, there)
        return self.transform(images, targets, rows, epoch) if self.transform else (images, targets)

    def fingerprint(self) -> str:
        """Hash pixels and targets."""
        return fingerprint(self.images, self.targets)

    def _source(self) -> tuple[Tensor, Tensor]:
        if self.device.type == "cpu":
            return self.images, self.targets
        if self.device not in self._copies:
            self._copies[self.device] = self.images.to(self.device), self.targets.to(self.device)
        return self._copies[self.device]


class CachedFeatures(Dataset[Batch]):
    """Features in place of the images that they were computed from.

    Attributes:
        merges: An evaluation may take many batches at once.
    """

    merges: ClassVar[bool] = True

    def __init__(self, views: Sequence[Tensor], images: ImageSet, seed: int) -> None:
        """Hold references; nothing is copied.

        Args:
            views: Each float32 (N, D), a row for each of ``images``, in their order.
            images: The images they were computed from, for targets and positions.
            seed: Decides which view of an image an epoch shows.
        """
        self.views, self.indices, self.seed = views, images.indices, seed
        self.targets = images.targets.to(views[0].device)

    def __len__(self) -> int:
        """Count images."""
        return len(self.indices)

    def __getitem__(self, batch_key: BatchKey) -> Batch:
        """Gather a batch."""
        epoch, positions = batch_key
        rows = self.indices[positions]
        if len(self.views) == 1:
            features = _gather(self.views[0], positions)
        else:
            chosen = self.chosen(epoch, rows)
            forms = torch.stack([_gather(view, positions) for view in self.views])
            features = forms[chosen.to(forms.device, non_blocking=True), torch.arange(len(rows), device=forms.device)]
        return Batch(features, _gather(self.targets, rows), rows)

    def chosen(self, epoch: int, indices: Tensor) -> Tensor:
        """Return the number of the view that an epoch shows of each of some images (B,), given by their indices."""
        return (uniform(self.seed, epoch, indices, _VIEW) * len(self.views)).long()


def _gather(rows: Tensor, positions: Tensor) -> Tensor:
    return rows.index_select(0, positions.to(rows.device, non_blocking=True))


def fingerprint(*tensors: Tensor, about: str = "") -> str:
    """Hash pixels and targets to 32 hexadecimal digits, to tell whether data have changed (BLAKE2b, 1 GB/s)."""
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
