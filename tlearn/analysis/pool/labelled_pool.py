"""All labelled pictures that train or validate, with their features. Letters: N pictures, D features, K classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.listing import listed
from tlearn.data.files.reading import Framing
from tlearn.data.images.grouped_split import name_of_group
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.labels.alike import refuse_alike
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.training.module import TransferModule
from tlearn.training.strategies.feature_cache import features_of, obstacle_to_storing
from tlearn.training.typed import FitSplit, data_of


@dataclass(frozen=True)
class LabelledPool:
    """Labelled pictures and what a fixed network sees in them; never one of the test split.

    Attributes:
        root: The folder that the names are relative to.
        names: N paths relative to the root, with ``/``, no one twice.
        labels: int64 (N,), class numbers as the data have them.
        class_names: K names.
        groups: int64 (N,), numbers of groups that are never divided; ``None`` without groups.
        group_names: Their names, by number.
        features: float32 (N, D).
        framing: How a picture file is brought to the form that the network sees.
        is_validation: bool (N,), the pictures that validate; all others train.
        is_stored: The features lie on disk, so what is made of them may too.
    """

    root: Path
    names: list[str]
    labels: Tensor
    class_names: list[str]
    groups: Tensor | None
    group_names: list[str]
    features: Tensor
    framing: Framing
    is_validation: Tensor
    is_stored: bool = False

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.names)

    def path(self, row: int) -> Path:
        """Return the file of a picture."""
        return self.root / self.names[row]

    def group(self, row: int) -> str | None:
        """Return the name of a picture's group; ``None`` without groups."""
        return None if self.groups is None else name_of_group(int(self.groups[row]), self.group_names)


def labelled_pool(trainer: Trainer, module: TransferModule) -> LabelledPool:
    """Gather the pictures that train and those that validate, with their features, from the cache where they are there.

    Args:
        trainer: Gives data, precision and device, inside `tlearn.analysis.rig.rigged`.
        module: The network, whose backbone is frozen.

    Raises:
        TlearnError: The pictures have more or less than one class each, are no files, or one file stands for several.
    """
    data = data_of(trainer)
    if data.task != "classification":
        kind = "several labels" if data.task == "multilabel" else "values"
        raise TlearnError(f"expected pictures of one class each, these have {kind}; labels of classes can be reviewed")
    if not isinstance(data, ImageFilesDataModule):
        raise TlearnError(f"expected picture files in a folder or a table; {data.kind_name} has none of its own")
    splits: tuple[FitSplit, ...] = ("train", "val") if data.validates else ("train",)
    sets = [data.dataset(split) for split in splits]
    names = [name for images in sets for name in _names_of(images)]
    _refuse_twice(names)
    refuse_alike(names)
    groups = [images.groups[images.indices] for images in sets if images.groups is not None]
    return LabelledPool(
        root=data.root,
        names=names,
        labels=torch.cat([images.targets[images.indices] for images in sets]),
        class_names=data.class_names,
        groups=torch.cat(groups) if len(groups) == len(sets) else None,
        group_names=data.group_names,
        features=torch.cat([features_of(trainer, module, split)[0] for split in splits]),
        framing=data.framing,
        is_validation=torch.arange(len(names)) >= len(sets[0]),
        is_stored=obstacle_to_storing(trainer, module) is None,
    )


def _names_of(images: ImageSet) -> list[str]:
    """Return the paths of pictures relative to the root.

    Raises:
        TlearnError: A file holds several objects, each with a label of its own.
    """
    assert isinstance(images, StreamedImages)
    assert isinstance(images.pictures, FilePictures)
    if images.pictures.boxes is not None:
        raise TlearnError(
            "expected one label for a whole picture, got a table of objects inside pictures, whose labels cannot be "
            "reviewed yet; cut the objects out into files of their own"
        )
    return [images.pictures.name(row) for row in images.indices.tolist()]


def _refuse_twice(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TlearnError(
            f"expected each picture once, got several rows of {listed(twice)}; a decision is about a whole one: leave "
            "one row of each in the table"
        )
