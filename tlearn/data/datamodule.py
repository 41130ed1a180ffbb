"""The base of all image data: it knows splits, loaders and seeds; subclasses supply the images.

Letters: N images, B images in a batch, H and W pixels, K classes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from tlearn.base.errors import TlearnError
from tlearn.base.machine import cores_allowed
from tlearn.base.plain_values import plain_values, texts, whole_number
from tlearn.base.processes import ALONE, Share
from tlearn.base.types import Batch, Task
from tlearn.data.class_names import ClassRemark
from tlearn.data.files.reading import Framing
from tlearn.data.images.augment import NO_AUGMENT, Augment, BatchAugment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import CachedFeatures, InMemoryImages, PhasedLoader, ResumableLoader
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.data.images.split import stratified_split, take_per_class
from tlearn.data.serving import serve_through_a_stop

log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]


class ImageDataModule(LightningDataModule, ABC):
    """Images for training, validation and test, served as whole batches.

    Attributes:
        num_classes: K, the number of outputs a network needs; 1 for a regression of one column.
        class_names: Names of the classes 0 to K - 1, or of a regression's columns; empty where it has one.
        task: ``classification``, ``multilabel`` (an image has any number of the classes) or ``regression``.
        class_remarks: What is to be known of the classes, to be told before training.
    """

    def __init__(
        self,
        *,
        class_names: list[str],
        task: Task = "classification",
        batch_size: PositiveInt = 64,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        train_per_class: PositiveInt | None = None,
        augment: Augment = NO_AUGMENT,
        drop_last: bool = False,
        num_workers: NonNegativeInt = 0,
    ) -> None:
        """Take the options; no data are read.

        Args:
            class_names: Names of the classes, or of a regression's columns; empty where it has one.
            task: ``classification``, ``multilabel`` or ``regression``.
            batch_size: Images in a batch, those of all processes together: more devices leave the learning rate right.
                64 is the tutorial's.
            val_fraction: Share of the training set to validate on, where there is no validation set; with 0 nothing
                validates: no epoch is the best one, and what chooses on validation images is refused.
            split_seed: Decides that share, apart from ``seed_everything``: the same images whatever the run's seed.
            train_per_class: Train on so many images of each class; all by default. Validation stays the same.
            augment: Random changes to training images; none by default.
            drop_last: Leave out a last training batch that is not full.
            num_workers: Processes that prepare batches.

        Raises:
            TlearnError: An option needs one class an image and the task is another, or ``val_fraction`` is not from 0
                to below 1.
        """
        super().__init__()
        (share,) = plain_values(val_fraction=val_fraction)
        if not (isinstance(share, (int, float)) and 0 <= share < 1):
            raise TlearnError(f"data.init_args.val_fraction: expected from 0 to below 1, got {share}")
        self.class_names, self.augment = class_names, augment
        self.num_classes = max(len(self.class_names), 1)
        self.val_fraction: float = share
        task, batch_size, split_seed, train_per_class, self.drop_last, num_workers = plain_values(
            task=task,
            batch_size=batch_size,
            split_seed=split_seed,
            train_per_class=train_per_class,
            drop_last=drop_last,
            num_workers=num_workers,
        )
        self.task: Task = task
        self.batch_size = whole_number("data.init_args.batch_size", batch_size, 1)
        self.split_seed = whole_number("data.init_args.split_seed", split_seed)
        self.num_workers = whole_number("data.init_args.num_workers", num_workers, 0)
        few = train_per_class
        self.train_per_class = None if few is None else whole_number("data.init_args.train_per_class", few, 1)
        self.class_remarks: list[ClassRemark] = []
        self._seed, self._has_val = 0, False
        self._limit_val_batches: int | float | None = None  # the trainer's, while nothing validates
        self._sets: dict[str, ImageSet] = {}
        self._features: dict[str, CachedFeatures] = {}
        self._fingerprints: dict[str, str] = {}
        self._passes = 0
        self._refuse_what_needs_one_class()

    @property
    def class_names(self) -> list[str]:
        """Names of the classes 0 to K - 1, as texts, whatever they were set to; a list of the caller's is copied.

        Raises:
            TlearnError: They are set to what are no names.
        """
        return self._class_names_as_texts

    @class_names.setter
    def class_names(self, names: Any) -> None:
        self._class_names_as_texts = texts("class_names", names)

    @abstractmethod
    def open_split(self, split: Split) -> ImageSet | None:
        """Open the training, validation or test source, and nothing of the others.

        Returns:
            The images that can be used; ``None`` where there is no validation set, so that it is split off.
        """

    def setup(self, stage: str) -> None:
        """Open and split what a stage needs: ``test`` the test source alone, all others the training source.

        To validate, a validation source alone is enough, where there is one.

        A second call reads and draws nothing again.

        Raises:
            TlearnError: The data cannot be read, split or batched as asked.
        """
        if stage == "test":
            if "test" not in self._sets:
                self._sets["test"] = self._opened("test")
            return
        if stage in ("validate", "predict") and self._has_val_of_its_own():
            return
        if "train" not in self._sets:
            self._open_train_and_val()
        if stage in ("validate", "predict") and not self.validates:
            raise TlearnError("there are no validation images: data.init_args.val_fraction is 0; use test, or set it")
        if stage == "fit":
            self._prepare_to_fit()

    def _prepare_to_fit(self) -> None:
        # Here and not where it is used: torch.initial_seed() differs in each worker. 63 bits are what int64 holds.
        self._seed, self._passes = torch.initial_seed() % 2**63, 0
        if self.trainer:  # without seed_everything each process has one of its own
            self._seed = self.trainer.strategy.broadcast(self._seed)
        self._train_sampler()  # so that an impossible batch is said before the first validation
        if self.trainer and not self.validates:
            self._limit_val_batches = self.trainer.limit_val_batches
            self.trainer.limit_val_batches = 0

    def teardown(self, stage: str) -> None:
        """Let the trainer validate on other data again."""
        if self.trainer and self._limit_val_batches is not None:
            self.trainer.limit_val_batches, self._limit_val_batches = self._limit_val_batches, None

    def dataset(self, split: Split) -> ImageSet:
        """Return the images of a split, never augmented; after `setup`."""
        return self._sets[split]

    @property
    def validates(self) -> bool:
        """Tell whether there are images to validate on; it opens those that are no part of the training set."""
        if "val" in self._sets:
            return len(self._sets["val"]) > 0
        return self.val_fraction > 0 or self._has_val_of_its_own()

    @property
    def image_shape_px(self) -> tuple[int, int]:
        """Return H and W of the images; after `setup`."""
        return next(iter(self._sets.values())).shape_px

    @property
    def framing(self) -> Framing:
        """Say how a picture file is brought to the form of these images; after `setup`."""
        return Framing(size_px=min(self.image_shape_px), crop_pct=1.0)

    @property
    def is_in_memory(self) -> bool:
        """Tell whether an image costs nothing to fetch; after `setup`."""
        return isinstance(self._sets["train"], InMemoryImages)

    @property
    def is_augmented(self) -> bool:
        """Tell whether training images change from epoch to epoch."""
        return self.augment != NO_AUGMENT

    @property
    def data_fingerprint(self) -> str:
        """Hash the training source, pixels, targets and order; after `setup`."""
        return self.fingerprint_of("train")

    def fingerprint_of(self, split: Split) -> str:
        """Hash the source of a split; of validation that is split off it is that of training. After `setup`."""
        source = "train" if split == "val" and not self._has_val else split
        if source not in self._fingerprints:
            self._fingerprints[source] = self._sets[source].fingerprint()
        return self._fingerprints[source]

    @property
    def seed(self) -> int:
        """Return the seed of order and augmentation; after `setup`."""
        return self._seed

    def pixels(
        self, split: Split, sizes: Iterable[int], view: int = 0, positions: range | None = None
    ) -> Iterator[Tensor]:
        """Yield the images of a split in their order, uint8 (n, 3, H, W).

        Args:
            split: Which.
            sizes: Each part's n. In memory they are asked for one by one, with worker processes ahead of time.
            view: 0 shows the images as they are, any other number as an epoch of this number would.
            positions: Which of them; all by default.
        """
        images = self._sets[split].on(torch.device("cpu"), self._augmenter() if view else None)
        keys = _consecutive(range(len(images)) if positions is None else positions, sizes, view)
        if not self.num_workers:
            yield from (images[each].images for each in keys)
            return
        for batch in DataLoader(images, batch_size=None, sampler=keys, num_workers=self.num_workers):
            yield batch.images

    def sample(self, split: Split, count: int) -> Batch:
        """Return some images spread over a split, with their targets, those to train on as a later epoch shows them."""
        images = self._sets[split].on(torch.device("cpu"), self._augmenter() if split == "train" else None)
        positions = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
        return images[BatchKey(1, positions)]

    def serve_features(self, features: Mapping[str, Sequence[Tensor]]) -> None:
        """Serve features in place of the images they were computed from.

        Args:
            features: For each split one tensor, float32 (N, D), or several views, of which each epoch draws one for
                each image.
        """
        device = self._device_for(sum(view.nbytes for views in features.values() for view in views))
        self._features = {
            split: CachedFeatures([view.to(device) for view in views], self._sets[split], self._seed)
            for split, views in features.items()
        }

    def features(self, split: Literal["train", "val"]) -> Sequence[Tensor]:
        """Return what `serve_features` was given for a split."""
        return self._features[split].views

    def serve_images(self) -> None:
        """Serve images again, from the next pass on."""
        self._features = {}

    def train_dataloader(self) -> DataLoader[Batch] | PhasedLoader:
        """Serve the training images, shuffled and augmented anew in each pass.

        A Trainer tells its epochs. In plain Python the passes that begin after `setup` count: the first has the order
        and the augmentation of a run's first epoch, over this loader or another.
        """
        train = self._sets["train"]
        images = train.on(self._device_for(train.nbytes), self._augmenter())
        sampler = self._train_sampler()
        if self.trainer:  # on a resume, worker processes begin before Lightning tells the epoch
            loop: Any = self.trainer.fit_loop
            epochs = loop.epoch_progress.current
            sampler.set_epoch(epochs.processed)
            if epochs.started > epochs.processed:
                sampler.leave_out(epochs.processed, loop.epoch_loop.batch_progress.current.processed)
        return self._phased("train", self._loader(images, sampler, ResumableLoader))

    @property
    def train_batches(self) -> int:
        """Count the batches of an epoch; the images have been set up."""
        return len(self._train_sampler())

    def val_dataloader(self) -> DataLoader[Batch] | PhasedLoader | list[DataLoader[Batch]]:
        """Serve the validation images in the order of their source; nothing where there are none."""
        return [] if not self.validates else self._phased("val", self._plain_loader("val"))

    def test_dataloader(self) -> DataLoader[Batch]:
        """Serve the test images in the order of their source."""
        return self._plain_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Serve the validation images: test data are opened by ``test`` alone."""
        return self._plain_loader("val")

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: which images were trained on."""
        return {"fingerprint": self.data_fingerprint, "val_fingerprint": self.fingerprint_of("val")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to resume on other images than those of the checkpoint.

        Raises:
            TlearnError: Some were added, removed or changed.
        """
        if self.trainer and self.trainer.state.fn == "fit" and state_dict != self.state_dict():
            raise TlearnError(
                "the images are not those of the checkpoint: some were added, removed or changed; put them "
                "back, or start anew from its weights: --model.weights PATH (without --ckpt_path)"
            )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the three tensors of a batch; Lightning's own looks through any nesting, at a tenth of a head step."""
        return Batch(*(part.to(device, non_blocking=True) for part in batch))

    def split_record(self) -> dict[str, Any]:
        """Describe the split in plain Python, to be written beside a run; positions are those in the source."""
        train, val = self._sets["train"], self._sets["val"]
        return {
            "split_seed": int(self.split_seed),
            "val_fraction": float(self.val_fraction),
            "fingerprint": self.data_fingerprint,
            "train": train.indices.tolist(),
            "val": val.indices.tolist(),
        }

    def _opened(self, split: Split) -> ImageSet:
        images = self.open_split(split)
        if images is None:
            raise TlearnError(f"there are no {split} images")
        return images

    def _has_val_of_its_own(self) -> bool:
        """Open the validation set, if there is one: nothing else is needed to validate."""
        if "val" not in self._sets:
            val = self.open_split("val")
            if val is None:
                return False
            self._sets["val"], self._has_val = val, True
        return self._has_val

    def _open_train_and_val(self) -> None:
        if self.class_remarks:
            log.warning("%s", "; ".join(remark.what for remark in self.class_remarks))
        train, val = self._opened("train"), self.open_split("val")
        self._has_val = val is not None
        labels = train.targets[train.indices].numpy()
        if val is None and self.val_fraction == 0:
            val = train.part(train.indices[:0])
        elif val is None:
            strata = self.class_names if self.task == "classification" else None
            kept, held_back = stratified_split(labels, self.val_fraction, self.split_seed, strata, train.draw_keys())
            val = train.part(train.indices[held_back])
            train = train.part(train.indices[kept])
        if self.train_per_class is not None:
            rows = train.indices.numpy()
            labels = train.targets.numpy()
            rows = take_per_class(labels, rows, self.train_per_class, self.split_seed, self.class_names)
            train = train.part(torch.from_numpy(rows))
        self._sets |= {"train": train, "val": val}

    def _augmenter(self) -> BatchAugment:
        return BatchAugment(self.augment, self.num_classes, self._seed)

    def _train_sampler(self) -> EpochBatchSampler:
        train, size = self._sets["train"], self.batch_size
        return EpochBatchSampler(
            len(train), size, True, self.drop_last, self._seed, self._share(), train.epoch_order, self._next_epoch
        )

    def _next_epoch(self) -> int:
        self._passes += 1
        return self._passes - 1

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else ALONE

    def _phased(self, split: str, images: DataLoader[Batch]) -> DataLoader[Batch] | PhasedLoader:
        if not self._features:
            return images
        # A limit counts batches of the size that was asked for.
        limit = self.trainer.limit_val_batches if self.trainer else 1.0
        merges = split == "val" and isinstance(limit, float) and limit == 1.0
        return PhasedLoader(lambda: self._features.get(split), images, merges)

    def _plain_loader(self, split: Literal["val", "test"]) -> DataLoader[Batch]:
        images = self._sets[split].on(self._device_for(self._sets[split].nbytes))
        return self._evaluation_loader(images)

    def _evaluation_loader(self, images: ImageSet) -> DataLoader[Batch]:
        sampler = EpochBatchSampler(len(images), self.batch_size, False, False, seed=0, share=self._share())
        return self._loader(images, sampler)

    def _loader(
        self, images: ImageSet, sampler: EpochBatchSampler, kind: type[DataLoader[Batch]] = DataLoader
    ) -> DataLoader[Batch]:
        return kind(
            images,
            batch_size=None,  # the sampler's keys are whole batches
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available() and images.device.type == "cpu",
            worker_init_fn=serve_through_a_stop if self.num_workers else None,
        )

    def _device_for(self, size_bytes: int) -> torch.device:
        """Choose where data lie: on the trainer's GPU if they take no more than a quarter of its free memory."""
        device: torch.device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda" or self.num_workers:
            return torch.device("cpu")
        free, _ = torch.cuda.mem_get_info(device)
        return device if size_bytes <= free / 4 else torch.device("cpu")

    def _refuse_what_needs_one_class(self) -> None:
        if self.task == "classification":
            return
        given = {"train_per_class": self.train_per_class}
        given |= {f"augment.{name}": getattr(self.augment, name) for name in ("mixup_alpha", "cutmix_alpha")}
        for name, value in given.items():
            if value:
                raise TlearnError(
                    f"{name} {value:g} needs one class an image, the task is {self.task}; unset data.init_args.{name}"
                )


class InMemoryDataModule(ImageDataModule):
    """Images in memory: small sets, whose pictures are all of one size."""

    @abstractmethod
    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read the training or the test source, and nothing of the other.

        Returns:
            Images, uint8 (N, 3, H, W), and targets: int64 (N,), float32 (N, K) of 0, 1 and NaN (unknown) for several
            labels, or float32 (N, 1) for regression. An image whose target is -1, or NaN where it is a value or where
            all its labels are, is left out but keeps its place.
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


def _consecutive(positions: range, sizes: Iterable[int], epoch: int) -> Iterator[BatchKey]:
    start = positions.start
    for size in sizes:
        if start >= positions.stop:
            return
        yield BatchKey(epoch, torch.arange(start, min(start + size, positions.stop)))
        start += size
