"""The base of all image data modules: options, splits and fingerprints. B images in a batch, K classes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.old_names import old_names
from tlearn.base.plain_values import plain_values, texts
from tlearn.base.types import Task
from tlearn.data.class_names import ClassRemark
from tlearn.data.images.augment import NO_AUGMENT, Augment
from tlearn.data.images.folds import one_fold
from tlearn.data.images.group_remarks import groups_by_split, tell_what_is_held_back, warn_of_both_sides
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.split import train_and_val
from tlearn.data.option_checks import (
    VAL_FRACTION,
    folds_of,
    refuse_colour_changes,
    refuse_what_needs_one_class,
    share_below_1,
    whole,
)
from tlearn.data.serving import ServingDataModule
from tlearn.data.serving import Split as Split

__getattr__ = old_names(__name__, {"InMemoryDataModule": "tlearn.data.sources.bases"})
log = logging.getLogger(__name__)


class ImageDataModule(ServingDataModule, ABC):
    """Images for training, validation and test, served as whole batches.

    Attributes:
        num_classes: K, the number of outputs a network needs; 1 for a regression of one column.
        task: ``classification``, ``multilabel`` (an image has any number of the classes) or ``regression``.
        class_remarks: Doubts about the classes, which are logged before training.
        group_names: Names of the groups by their numbers in `ImageSet.groups`, after `setup`; none without groups.
        root: Where the images come from, if there is such a place; names of pictures are shown relative to it.
    """

    root: Path | str | None = None

    def __init__(
        self,
        *,
        class_names: list[str],
        task: Task = "classification",
        batch_size: PositiveInt = 64,
        val_fraction: float = VAL_FRACTION,
        split_seed: int = 0,
        folds: int | None = None,
        fold: int = 1,
        train_per_class: PositiveInt | None = None,
        augment: Augment = NO_AUGMENT,
        drop_last: bool = False,
        num_workers: NonNegativeInt = 0,
    ) -> None:
        """Take the options; no data are read.

        Args:
            class_names: Names of the classes, or of a regression's columns; empty where it has one.
            task: ``classification``, ``multilabel`` or ``regression``.
            batch_size: Global batch size, summed over all processes, so that the learning rate need not change with the
                number of devices. 64 is the tutorial's.
            val_fraction: Share of the training set to validate on, if there is no validation set. With 0 nothing
                validates: no epoch is the best one, and options that need validation images are refused.
            split_seed: Seed of that split, apart from ``seed_everything``: runs with other seeds validate on the same
                images. It deals out the folds, too.
            folds: Divide the training set into so many parts, from 2 on, and validate on one of them, whole groups
                together and each class in even parts; a validation set is not used then. By default no fold is made.
            fold: Which of the folds validates, counted from 1; the others train.
            train_per_class: Train on so many images of each class; all by default. Validation stays the same.
            augment: Random changes to training images; none by default.
            drop_last: Leave out a last training batch that is not full.
            num_workers: Processes that prepare batches; 0 is fastest for images in memory.

        Raises:
            TlearnError: An option needs one class an image and the task is another, ``val_fraction`` is not from 0 to
                below 1, or there is no such fold.
        """
        super().__init__()
        self.class_names, self.augment = class_names, augment
        self.val_fraction = share_below_1("val_fraction", val_fraction)
        self.folds, self.fold = folds_of(folds, fold, self.val_fraction)
        self.num_classes = max(len(self.class_names), 1)
        task, self.drop_last = plain_values(task=task, drop_last=drop_last)
        self.task: Task = task
        self.batch_size = whole("batch_size", batch_size, 1)
        self.split_seed = whole("split_seed", split_seed)
        self.num_workers = whole("num_workers", num_workers, 0)
        self.train_per_class = None if train_per_class is None else whole("train_per_class", train_per_class, 1)
        self.class_remarks: list[ClassRemark] = []
        self.group_names: list[str] = []
        self._has_val = False
        self._limit_val_batches: int | float | None = None  # the trainer's own, while nothing validates
        self._fingerprints: dict[str, str] = {}
        refuse_what_needs_one_class(self.task, self.train_per_class, augment)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes 0 to K - 1, or of a regression's columns (empty for one column); setting them copies.

        Raises:
            TlearnError: They are set to something else than names.
        """
        return self._class_names_as_texts

    @class_names.setter
    def class_names(self, names: Any) -> None:
        self._class_names_as_texts = texts("class_names", names)

    @abstractmethod
    def open_split(self, split: Split) -> ImageSet | None:
        """Open the training, validation or test source, and nothing of the others.

        Returns:
            The images that can be used; ``None`` if there is no validation set, so that it is split off.
        """

    def has_split(self, split: Split) -> bool:
        """Tell whether there is a source of a split's own."""
        return self.open_split(split) is not None

    def picture_names(self, rows: Tensor, split: Split = "val") -> list[str] | None:
        """Return the paths of images (B,) by their positions in their source; ``None`` if images have no names."""
        return None

    @property
    def without_validation(self) -> str:
        """Say why there are no validation images, where there are none."""
        return "data.init_args.val_fraction is 0"

    @property
    def kind_name(self) -> str:
        """Return the name of the class."""
        return type(self).__name__

    def shows(self, split: Split) -> bool:
        """Tell whether images of a split can be had by their positions, to be shown."""
        return True

    @property
    def has_picture_names(self) -> bool:
        """Tell whether the images that validate, are tested or are predicted for have names; after `setup`."""
        split: Split = "test" if "test" in self._sets and "val" not in self._sets else "val"
        return self.picture_names(torch.empty(0, dtype=torch.int64), split) is not None

    def setup(self, stage: str) -> None:
        """Open and split what a stage needs: ``test`` only the test source, other stages the training source.

        If there is a validation source, ``validate`` and ``predict`` open only that. A second call does nothing again.

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

    def teardown(self, stage: str) -> None:
        """Let the trainer validate on other data again."""
        if self.trainer and self._limit_val_batches is not None:
            self.trainer.limit_val_batches, self._limit_val_batches = self._limit_val_batches, None

    @property
    def validates(self) -> bool:
        """Tell whether there are validation images; this opens a validation set of its own."""
        if "val" in self._sets:
            return len(self._sets["val"]) > 0
        return self.folds is not None or self.val_fraction > 0 or self._has_val_of_its_own()

    @property
    def data_fingerprint(self) -> str:
        """Hash the training source: pixels, targets and order; after `setup`."""
        return self.fingerprint_of("train")

    def fingerprint_of(self, split: Split) -> str:
        """Hash the source of a split, which is the training source for validation split off it; after `setup`."""
        source = "train" if split == "val" and not self._has_val else split
        if source not in self._fingerprints:
            self._fingerprints[source] = self._sets[source].fingerprint()
        return self._fingerprints[source]

    def split_record(self) -> dict[str, Any]:
        """Describe the split in plain values, to be written beside a run; positions are those in the source."""
        held_back = (
            {"folds": self.folds, "fold": self.fold} if self.folds else {"val_fraction": float(self.val_fraction)}
        )
        return {
            "split_seed": int(self.split_seed),
            **held_back,
            "fingerprint": self.data_fingerprint,
            "train": self._sets["train"].indices.tolist(),
            "val": self._sets["val"].indices.tolist(),
            **groups_by_split(self._sets, self.group_names),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: fingerprints of the images."""
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

    def _opened(self, split: Split) -> ImageSet:
        images = self.open_split(split)
        if images is None:
            raise TlearnError(f"there are no {split} images")
        return images

    def _has_val_of_its_own(self) -> bool:
        """Open the validation set, if there is one: nothing else is needed to validate."""
        if "val" not in self._sets:
            val = None if self.folds else self.open_split("val")
            if val is None:
                return False
            self._sets["val"], self._has_val = val, True
        return self._has_val

    def _open_train_and_val(self) -> None:
        for remark in self.class_remarks:
            log.log(logging.WARNING if remark.severity == "warning" else logging.INFO, "%s", remark.what)
        names = self.class_names if self.task == "classification" else None
        own: ImageSet | None
        draw = self.split_seed, names, self.group_names
        if self.folds:
            if self.has_split("val"):
                log.info("data.init_args.folds: the validation images are not used, those that train are divided")
            train, own = one_fold(self._opened("train"), self.folds, self.fold, *draw)
        else:
            train, own = self._opened("train"), self.open_split("val")
            self._has_val = own is not None
        before = len(train)
        train, val = train_and_val(train, own, self.val_fraction, self.train_per_class, *draw)
        self._sets |= {"train": train, "val": val}
        if not self.folds and not self._has_val and len(val):
            tell_what_is_held_back(train, val, before, self.val_fraction, names is not None, self.group_names)
        if self._has_val:
            warn_of_both_sides(train, val, self.group_names)

    def _prepare_to_fit(self) -> None:
        refuse_colour_changes(self.augment, self.num_channels)
        # Here and not where it is used: torch.initial_seed() differs in each worker. 63 bits are what int64 holds.
        self._seed, self._passes = torch.initial_seed() % 2**63, 0
        if self.trainer:  # without seed_everything each process has a seed of its own
            self._seed = self.trainer.strategy.broadcast(self._seed)
        self._train_sampler()  # raises for an impossible batch size before the first validation
        if self.trainer and not self.validates:
            self._limit_val_batches = self.trainer.limit_val_batches
            self.trainer.limit_val_batches = 0
