"""Serve the splits of a data module: loaders, single images, and cached features in their place.

Letters: N images, B images in a batch, C channels, H and W pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from tlearn.base.types import Batch
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import Framing
from tlearn.data.images.augment import NO_AUGMENT, Augment, BatchAugment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import CachedFeatures, InMemoryImages
from tlearn.data.images.kept_maps import CachedMaps, KeptMaps, on_device
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.data.loaders import (
    PhasedLoader,
    ResumableLoader,
    device_for,
    loader_of,
    pixels_of_set,
    progress_of,
    share_of,
)

Split = Literal["train", "val", "test"]


class ServingDataModule(LightningDataModule, ABC):
    """Splits that are open, served as whole batches; `ImageDataModule` opens them and sets the options."""

    batch_size: int
    num_classes: int
    num_workers: int
    drop_last: bool
    augment: Augment

    def __init__(self) -> None:
        """Start with no split open."""
        super().__init__()
        self._sets: dict[str, ImageSet] = {}
        self._features: dict[str, CachedFeatures] = {}
        self._maps: dict[str, CachedMaps] = {}
        self._seed = self._passes = 0

    @property
    @abstractmethod
    def validates(self) -> bool:
        """Tell whether there are validation images."""

    def dataset(self, split: Split) -> ImageSet:
        """Return the images of a split, never augmented; after `setup`."""
        return self._sets[split]

    def fit_images(self) -> ImageSet:
        """Return the images that train and those that validate, of one source and in its order; after `setup`."""
        train, val = self._sets["train"], self._sets["val"]
        return train.part(torch.cat([train.indices, val.indices]).sort().values)

    @property
    def image_shape_px(self) -> tuple[int, int]:
        """Return H and W of the images; after `setup`."""
        return next(iter(self._sets.values())).shape_px

    @property
    def num_channels(self) -> int:
        """Return C, the channels of the images; after `setup`."""
        return next(iter(self._sets.values())).num_channels

    @property
    def framing(self) -> Framing:
        """Say how a picture file is brought to the form of these images; after `setup`."""
        reading = Reading(ranges={}, num_channels=self.num_channels)
        return Framing(size_px=min(self.image_shape_px), crop_pct=1.0, reading=reading)

    @property
    def is_in_memory(self) -> bool:
        """Tell whether an image costs nothing to fetch; after `setup`."""
        return isinstance(self._sets["train"], InMemoryImages)

    @property
    def is_augmented(self) -> bool:
        """Tell whether training images change from epoch to epoch."""
        return self.augment != NO_AUGMENT

    @property
    def seed(self) -> int:
        """Return the seed of order and augmentation; after `setup`."""
        return self._seed

    def pixels(
        self, split: Split | Literal["fit"], sizes: Iterable[int], view: int = 0, positions: range | None = None
    ) -> Iterator[Tensor]:
        """Yield the images of a split in their order, uint8 (n, C, H, W).

        Args:
            split: Which split; ``fit`` for `fit_images`.
            sizes: The n of each part. Without workers each is asked for when its part is.
            view: 0 shows the images unchanged, another number as the epoch of this number would.
            positions: Which images; all by default.
        """
        of = self.fit_images() if split == "fit" else self._sets[split]
        images = of.on(torch.device("cpu"), self._augmenter() if view else None)
        return pixels_of_set(images, self.num_workers, sizes, view, positions)

    def sample(self, split: Split, count: int) -> Batch:
        """Return some images spread over a split, with their targets; training images as a later epoch shows them."""
        images = self._sets[split].on(torch.device("cpu"), self._augmenter() if split == "train" else None)
        positions = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
        return images[BatchKey(1, positions)]

    def serve_features(self, features: Mapping[str, Sequence[Tensor]]) -> None:
        """Serve features in place of the images they were computed from.

        Args:
            features: For each split one or several views, float32 (N, D); each epoch draws one of them for each image.
        """
        device = self._device_for(sum(view.nbytes for views in features.values() for view in views))
        self._features = {
            split: CachedFeatures([view.to(device) for view in views], self._sets[split], self._seed)
            for split, views in features.items()
        }

    def features(self, split: Literal["train", "val"]) -> Sequence[Tensor]:
        """Return what `serve_features` was given for a split."""
        return self._features[split].views

    @property
    def serves_features(self) -> bool:
        """Tell whether the next pass serves features of a frozen backbone in place of images."""
        return bool(self._features)

    def serve_maps(self, maps: Mapping[str, KeptMaps]) -> None:
        """Serve, from the next pass on, what the frozen stages make of the images; the network goes on from there.

        Args:
            maps: Those of each split; each epoch draws one of its views for each image.
        """
        device = self._device_for(sum(kept.nbytes for kept in maps.values()))
        self._features = {}
        self._maps = {
            split: CachedMaps(on_device(kept, device), self._sets[split], self._seed) for split, kept in maps.items()
        }

    @property
    def serves_maps(self) -> bool:
        """Tell whether the next pass serves maps of frozen stages in place of images."""
        return bool(self._maps)

    def serve_images(self) -> None:
        """Serve images again, from the next pass on."""
        self._features, self._maps = {}, {}

    @property
    def train_batches(self) -> int:
        """Count the training batches of an epoch; after `setup`."""
        return len(self._train_sampler())

    def train_dataloader(self) -> DataLoader[Batch] | PhasedLoader:
        """Serve the training images, shuffled and augmented anew in each pass.

        In a run the trainer tells the epoch. In plain Python the passes after `setup` count as epochs from 0 on, over
        this loader or another.
        """
        train, sampler = self._sets["train"], self._train_sampler()
        images = train.on(self._device_for(train.nbytes), self._augmenter())
        if self.trainer:  # on a resume, worker processes begin before Lightning tells the epoch
            epoch, batches_done = progress_of(self.trainer)
            sampler.set_epoch(epoch)
            sampler.leave_out(epoch, batches_done)
        return self._phased("train", loader_of(images, sampler, self.num_workers, self.trainer, ResumableLoader))

    def val_dataloader(self) -> DataLoader[Batch] | PhasedLoader | list[DataLoader[Batch]]:
        """Serve the validation images in the order of their source; nothing if there are none."""
        return self._phased("val", self._plain_loader("val")) if self.validates else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Serve the test images in the order of their source."""
        return self._plain_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Serve the validation images: only ``test`` opens test data."""
        return self._plain_loader("val")

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the tensors of a batch; Lightning's own search for tensors would take a tenth of a head's step."""
        images, targets, indices = (part.to(device, non_blocking=True) for part in batch[:3])
        return Batch(images, targets, indices, batch.faults, batch.remarks)

    def _augmenter(self) -> BatchAugment:
        return BatchAugment(self.augment, self.num_classes, self._seed)

    def _train_sampler(self) -> EpochBatchSampler:
        train, share = self._sets["train"], share_of(self.trainer)
        options = self.batch_size, True, self.drop_last, self._seed, share, train.epoch_order, self._next_epoch
        return EpochBatchSampler(len(train), *options)

    def _next_epoch(self) -> int:
        self._passes += 1
        return self._passes - 1

    def _phased(self, split: str, images: DataLoader[Batch]) -> DataLoader[Batch] | PhasedLoader:
        if not self._features and not self._maps:
            return images
        # A limit counts batches of the size that was asked for.
        limit = self.trainer.limit_val_batches if self.trainer else 1.0
        merges = split == "val" and isinstance(limit, float) and limit == 1.0
        return PhasedLoader(lambda: self._features.get(split) or self._maps.get(split), images, merges)

    def _plain_loader(self, split: Literal["val", "test"]) -> DataLoader[Batch]:
        return self._evaluation_loader(self._sets[split].on(self._device_for(self._sets[split].nbytes)))

    def _evaluation_loader(self, images: ImageSet) -> DataLoader[Batch]:
        sampler = EpochBatchSampler(len(images), self.batch_size, False, False, seed=0, share=share_of(self.trainer))
        return loader_of(images, sampler, self.num_workers, self.trainer)

    def _device_for(self, size_bytes: int) -> torch.device:
        return device_for(self.trainer, size_bytes, self.num_workers)
