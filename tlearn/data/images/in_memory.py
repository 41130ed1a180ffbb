"""Images in memory as one tensor, served as whole batches. Letters: N images, B images in a batch, H and W pixels.

Per-image Python costs more than a small network's forward pass. So the sampler yields one key for a whole batch, and
the dataset answers it with one gather. The key carries the epoch, for workers that persist never hear of a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tlearn.base.types import Batch
from tlearn.data.images.augment import BatchAugment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.keyed_random import uniform

_MERGED_ROWS = 4096
_VIEW = 100  # the stream that draws views: none of augmentation's


class InMemoryImages(ImageSet):
    """Images of one tensor; a device holds it once for all its parts."""

    def __init__(self, images: Tensor, targets: Tensor, indices: Tensor, transform: BatchAugment | None = None) -> None:
        """Hold references; nothing is copied.

        Args:
            images: uint8 (N, 3, H, W), the whole source.
            targets: (N, ...), the whole source's.
            indices: int64, the positions in the source that are this dataset.
            transform: Random changes to a batch.
        """
        super().__init__(targets, indices, transform)
        self.images = images
        self.nbytes = images.nbytes
        self._copies: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return H and W."""
        height, width = self.images.shape[-2:]
        return height, width

    def part(self, indices: Tensor) -> InMemoryImages:
        """Return other images of the same source; a device holds the source once for all its parts."""
        part = InMemoryImages(self.images, self.targets, indices)
        part._copies = self._copies
        return part

    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Gather a batch, where the images lie, and transform it; they go to a device with the first batch."""
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
    """Features in place of the images that they were computed from."""

    def __init__(self, views: Sequence[Tensor], images: ImageSet, seed: int) -> None:
        """Hold references; nothing is copied.

        Args:
            views: Each float32 (N, D), a row for each of ``images``, in their order.
            images: What they were computed from; gives targets and positions.
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
            chosen = (uniform(self.seed, epoch, rows, _VIEW) * len(self.views)).long()
            forms = torch.stack([_gather(view, positions) for view in self.views])
            features = forms[chosen.to(forms.device, non_blocking=True), torch.arange(len(rows), device=forms.device)]
        return Batch(features, _gather(self.targets, rows), rows)


def _gather(rows: Tensor, positions: Tensor) -> Tensor:
    return rows.index_select(0, positions.to(rows.device, non_blocking=True))


class Resumable:
    """Tells Lightning that an epoch can be gone on with; where, its own counters say, which the sampler is given."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing."""


class ResumableLoader(Resumable, DataLoader[Batch]):
    """A loader of images to train on."""


class PhasedLoader(Resumable):
    """Serve features while there are some, images afterwards; asked anew at the start of every pass."""

    def __init__(
        self, features: Callable[[], Dataset[Batch] | None], images: DataLoader[Batch], merges: bool = False
    ) -> None:
        """Take both.

        Args:
            features: Returns the features, or ``None`` once images are wanted.
            images: The loader of the images; its sampler decides order and batches in both phases.
            merges: Serve features in batches of thousands: for a head to answer, not to learn from.
        """
        self.features, self.images, self.merges = features, images, merges
        self.sampler, self.batch_sampler = images.sampler, images.batch_sampler  # Lightning looks at both

    def __len__(self) -> int:
        """Count batches."""
        return len(self.images)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one pass."""
        features = self.features()
        if features is None:
            yield from self.images
            return
        for batch_key in _merged(self.sampler) if self.merges else self.sampler:
            yield features[batch_key]


def _merged(keys: Iterable[BatchKey]) -> Iterator[BatchKey]:
    waiting: list[BatchKey] = []
    for batch_key in keys:
        waiting.append(batch_key)
        if sum(len(each.positions) for each in waiting) >= _MERGED_ROWS:
            yield BatchKey(batch_key.epoch, torch.cat([each.positions for each in waiting]))
            waiting = []
    if waiting:
        yield BatchKey(waiting[0].epoch, torch.cat([each.positions for each in waiting]))


def fingerprint(*tensors: Tensor, about: str = "") -> str:
    """Hash pixels and targets to 32 hexadecimal digits, to tell whether data are still the same (BLAKE2b, 1 GB/s)."""
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
