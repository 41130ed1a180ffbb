"""Loaders of whole batches: images to train on or to evaluate, or cached features in their place."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from tlearn.base.processes import ALONE, Share
from tlearn.base.types import Batch
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import CachedFeatures
from tlearn.data.images.sampling import EpochBatchSampler

_MERGED_ROWS = 4096
_GRACE_S = 60


class Resumable:
    """Mark a loader as stateful, so that Lightning allows a resume within an epoch; the sampler knows the position."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing."""


class ResumableLoader(Resumable, DataLoader[Batch]):
    """A loader of training images."""


class PhasedLoader(Resumable):
    """Serve features, or maps, while there are some, and images afterwards; each pass asks anew."""

    def __init__(
        self, features: Callable[[], CachedFeatures | None], images: DataLoader[Batch], merges: bool = False
    ) -> None:
        """Take both sources.

        Args:
            features: Returns the features or maps, or ``None`` once images are wanted.
            images: The loader of the images; its sampler decides order and batches in both phases.
            merges: Serve features in batches of thousands, which is quicker where a head is only evaluated.
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
        for batch_key in _merged(self.sampler) if self.merges and features.merges else self.sampler:
            yield features[batch_key]


def loader_of(
    images: ImageSet,
    sampler: EpochBatchSampler,
    num_workers: int,
    trainer: Trainer | None,
    kind: type[DataLoader[Batch]] = DataLoader,
) -> DataLoader[Batch]:
    """Serve a split in the batches of a sampler; memory is pinned where the trainer computes on a GPU."""
    may_move = trainer is None or trainer.strategy.root_device.type == "cuda"
    return kind(
        images,
        batch_size=None,  # the sampler's keys are whole batches
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=may_move and torch.cuda.is_available() and images.device.type == "cpu",
        worker_init_fn=_survive_first_sigterm if num_workers else None,
    )


def pixels_of_set(
    images: ImageSet, num_workers: int, sizes: Iterable[int], epoch: int, positions: range | None
) -> Iterator[Tensor]:
    """Yield the images of a set in their order, in parts of the sizes given."""
    keys = _consecutive(range(len(images)) if positions is None else positions, sizes, epoch)
    if not num_workers:
        yield from (images[each].images for each in keys)
        return
    for batch in DataLoader(images, batch_size=None, sampler=keys, num_workers=num_workers):
        yield batch.images


def device_for(trainer: Trainer | None, size_bytes: int, num_workers: int) -> torch.device:
    """Return the trainer's GPU if data fit into a quarter of its free memory and no workers serve them; else CPU."""
    device: torch.device = trainer.strategy.root_device if trainer else torch.device("cpu")
    if device.type != "cuda" or num_workers:
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if size_bytes <= free / 4 else torch.device("cpu")


def share_of(trainer: Trainer | None) -> Share:
    """Return which process of how many this is."""
    return Share(trainer.global_rank, trainer.world_size) if trainer else ALONE


def progress_of(trainer: Trainer) -> tuple[int, int]:
    """Return the epoch that a run is about to train and how many of its batches are done, from Lightning's counters."""
    loop: Any = trainer.fit_loop
    epochs = loop.epoch_progress.current
    is_begun = epochs.started > epochs.processed
    return epochs.processed, loop.epoch_loop.batch_progress.current.processed if is_begun else 0


def _merged(keys: Iterable[BatchKey]) -> Iterator[BatchKey]:
    waiting: list[BatchKey] = []
    for batch_key in keys:
        waiting.append(batch_key)
        if sum(len(each.positions) for each in waiting) >= _MERGED_ROWS:
            yield BatchKey(batch_key.epoch, torch.cat([each.positions for each in waiting]))
            waiting = []
    if waiting:
        yield BatchKey(waiting[0].epoch, torch.cat([each.positions for each in waiting]))


def _consecutive(positions: range, sizes: Iterable[int], epoch: int) -> Iterator[BatchKey]:
    start = positions.start
    for size in sizes:
        if start >= positions.stop:
            return
        yield BatchKey(epoch, torch.arange(start, min(start + size, positions.stop)))
        start += size


def _survive_first_sigterm(worker: int) -> None:
    """Let a worker process survive the first SIGTERM: SLURM and shells send it to all processes of a run.

    torch would end the worker at once, and the run with it, before its step is done. A second SIGTERM ends the worker,
    and so do 60 s if the run does not.
    """
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(_GRACE_S)
