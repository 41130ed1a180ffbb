"""Pictures in shards that `tlearn optimize` wrote, on this disk or in object storage. Letters: N pictures."""

from __future__ import annotations

import logging
from typing import Any

import torch
from jsonargparse.typing import PositiveFloat, PositiveInt
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.class_names import ClassRemark, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.decoding.reading_options import reading_in
from tlearn.data.files.folder_layout import TEST, TRAIN, VAL
from tlearn.data.files.listing import counts_of, listed, number_of
from tlearn.data.groups.files import numbers_of_groups
from tlearn.data.groups.rule import checked_group, rule_of
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.sampled_ranges import sampled_ranges
from tlearn.data.images.split import class_numbers
from tlearn.data.shards.index import INDEX, ITEMS, Items, ShardedSplit, parse_index, parse_items
from tlearn.data.shards.pictures import ShardedImages, ShardPictures
from tlearn.data.shards.place import place_of
from tlearn.data.sources.bases import PictureDataModule

log = logging.getLogger(__name__)

_LOOKED_AT = ("intensity", "channels", "num_channels", "page")  # what ranges depend on


class StreamingDataModule(PictureDataModule):
    """A folder of pictures that `tlearn optimize` packed into shards.

    Attributes:
        root: The folder or URL of the shards.
    """

    root: str

    def __init__(
        self,
        root: str,
        classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        cache_dir: str = ".cache/tlearn/shards",
        max_cache_gb: PositiveFloat = 20.0,
        group: int | str | None = None,
        **options: Any,
    ) -> None:
        """Read the index; no shard is opened.

        Args:
            root: What ``tlearn optimize`` wrote: a folder, or a URL that LitData downloads from, such as
                ``s3://bucket/folder``, ``gs://bucket/folder`` or ``hf://datasets/user/name/folder``; access
                keys are found in the same places as by their own tools.
            classes: Names of the classes to use, numbered in the order given; by default all, in their order.
            min_per_class: Leave out classes with fewer training images, and say which; none by default.
            cache_dir: Cache of downloaded shards, which processes of one machine share.
            max_cache_gb: Limit of the cache; the least recently read shards are deleted first.
            group: What pictures are never divided, by the paths of the files that were packed: a folder level below
                the class folder, or an expression; see `ImageFolderDataModule`. By default what ``tlearn optimize`` was
                given.
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: There is no optimized folder of this version, or it cannot be downloaded.
        """
        self._place = place_of(root, cache_dir, float(max_cache_gb))
        self.root = self._place.about
        self._index = parse_index(self._place.index(), f"{self.root}/{INDEX}")
        self.group = self._index.group if group is None else checked_group(group)
        numbers = class_numbers(classes, self._index.class_names)
        names = [self._index.class_names[number] for number in numbers]
        rare = list[ClassRemark]()
        if min_per_class is not None and "train" in self._index.splits:
            names, rare = frequent_classes(names, self._train_counts(), min_per_class)
            numbers = class_numbers(names, self._index.class_names)
        self._new_labels = torch.full((len(self._index.class_names),), -1)
        self._new_labels[torch.tensor(numbers)] = torch.arange(len(numbers))
        super().__init__(class_names=names, task="classification", **options)
        self.class_remarks = rare

    def has_split(self, split: Split) -> bool:
        """Tell whether the shards hold a split."""
        return split in self._index.splits

    def open_split(self, split: Split) -> ImageSet | None:
        """Read the rows of a split, and check the sizes of its shards.

        Raises:
            TlearnError: There is no such split, or it is incomplete.
        """
        sharded = self._index.splits.get(split)
        if sharded is None and split == "val":
            return None
        if sharded is None:
            raise TlearnError(f"no {split} images in {self.root}, which has {listed(self._index.splits)}")
        items = self._items(split, sharded)
        self._place.check(split, sharded.shards)
        targets = self._new_labels[items.labels]
        rows = torch.nonzero(targets >= 0).flatten()
        if not len(rows):
            raise TlearnError(f"no {split} images of {', '.join(self.class_names)} in {self.root}")
        counts = counts_of(targets[rows].tolist(), self.class_names)
        shards = number_of(len(sharded.shards), "shard")
        log.info("%s: %d images (%s) in %s of %s", split, len(rows), counts, shards, self.root)
        self._learn()
        images = ShardedImages(ShardPictures(self._place, split, sharded, items), self.framing, targets, rows)
        images.groups = self._groups_of(split, images)
        return images

    def _groups_of(self, split: Split, images: ShardedImages) -> Tensor | None:
        """Find the group of each picture in the path of its file."""
        if self.group is None:
            return None
        names = [images.pictures.name(row) for row in range(len(images.targets))]
        is_in_split = names[0].partition("/")[0].lower() in (*TRAIN, *VAL, *TEST)
        groups = rule_of(self.group).of_paths(names, 1 + is_in_split)
        kept = images.indices.tolist()
        return numbers_of_groups(split, names, groups, kept, self.group, None, self.group_names)

    def _learn(self) -> None:
        """Take the ranges that were learned when the folder was packed, or learn them from the first training shard.

        The shard's pictures are a fair sample: packing shuffles them.
        """
        if not self.learns_ranges:
            return
        reading = self.framing.reading
        known = None if self._index.reading is None else reading_in(self._index.reading)
        if known is not None and all(getattr(known, each) == getattr(reading, each) for each in _LOOKED_AT):
            self._keep_ranges(known.ranges or {})
        elif "train" in self._index.splits:
            sharded = self._index.splits["train"]
            pictures = ShardPictures(self._place, "train", sharded, self._items("train", sharded))
            self._keep_ranges(sampled_ranges(pictures, range(sharded.shards[0].images), reading))

    def _items(self, split: Split, sharded: ShardedSplit) -> Items:
        name = f"{split}/{ITEMS}"
        content = self._place.items(name, sharded.items)
        return parse_items(content, sharded, len(self._index.class_names), f"{self.root}/{name}")

    def _train_counts(self) -> dict[str, int]:
        names = self._index.class_names
        labels = self._items("train", self._index.splits["train"]).labels
        return dict(zip(names, torch.bincount(labels, minlength=len(names)).tolist(), strict=True))

    def picture_names(self, rows: Tensor, split: Split = "val") -> list[str]:
        """Return the paths of pictures of a split (B,), by their positions in their source."""
        images = self._sets[split]
        assert isinstance(images, ShardedImages)
        return [images.pictures.name(row) for row in rows.tolist()]
