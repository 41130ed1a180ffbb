"""The base of folders and tables: picture files with labels. Letters: N files, K classes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.data.datamodule import Split
from tlearn.data.files.colour_spaces import converted_files
from tlearn.data.files.duplicates import told_of_copies
from tlearn.data.files.exclusions import EXCLUSIONS
from tlearn.data.files.file_list import FileList
from tlearn.data.files.findings import Picture
from tlearn.data.files.inspected import inspected_and_stamped, inspected_files
from tlearn.data.files.inspection import Inspection
from tlearn.data.files.sample_types import (
    kept_ranges,
    ranges_of_training,
    remarks_on,
    told_of_range,
    told_of_strangers,
    types_of,
    without_range,
)
from tlearn.data.files.unreadable import told_of_none_left, told_of_reasons
from tlearn.data.groups.files import groups_of_files, in_groups, warn_of_known_groups
from tlearn.data.groups.rule import checked_group
from tlearn.data.images.held_back import left_or_held_back
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.kept.files import DEFAULT_GB, checked_gb, kept_files
from tlearn.data.labels.applied import ListedLabels
from tlearn.data.labels.words import known_labels, label_text
from tlearn.data.option_checks import share_below_1
from tlearn.data.sources.bases import PictureDataModule
from tlearn.data.sources.table_paths import refuse
from tlearn.data.split_remarks import are_contrary, say_what_is_there

log = logging.getLogger(__name__)


class ImageFilesDataModule(PictureDataModule, ABC):
    """Picture files, all of which are inspected before training starts.

    Attributes:
        root: The folder that the files' names are relative to, and of the exclusion list.
        folders_above: How many folders lie above those of a class's own in each path.
        listed: What the list of labels beside the pictures changes in their labels by folder or table.
        skipped: For each split that `pictures_of` has listed, files that are no pictures by ending, and their classes.
    """

    root: Path
    folders_above = 0
    _listed: ListedLabels | None = None

    def __init__(
        self,
        *,
        root: Path,
        on_error: Literal["error", "skip"] = "error",
        test_fraction: float = 0.0,
        group: int | str | None = None,
        picture_cache_gb: float = DEFAULT_GB,
        **options: Any,
    ) -> None:
        """Take the options.

        Args:
            root: The folder that names are relative to.
            on_error: What to do about pictures that cannot be read: name them all and stop before training starts, or
                leave them out and say how many.
            test_fraction: Share of the training pictures to hold back for ``test``, where there are none to test on.
                Each is drawn by its name alone, or that of its group, so pictures that come later move none.
            group: What pictures are never divided between training and validation, such as those of one site, patient,
                video or specimen: the number of a folder level below the class folder (in a table of a folder in the
                path), a column of the table, or a regular expression with one group in brackets, which is searched in
                each path relative to ``root``. By default each picture stands for itself.
            picture_cache_gb: What large pictures may take on disk, decoded, so that later epochs and runs need not
                decode them again; they are the same bits. 10 holds 66,000 squares of 224 px, or 4,400 photographs of
                12 megapixels to cut random crops from; 0 keeps none.
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: ``test_fraction`` is not from 0 to below 1, ``group`` is neither number nor text, or
                ``picture_cache_gb`` is no number from 0 on.
        """
        super().__init__(**options)
        self.test_fraction = share_below_1("test_fraction", test_fraction)
        self.group, self.picture_cache_gb = checked_group(group), checked_gb(picture_cache_gb)
        self.root, self.on_error = root, on_error
        self.source = self.root  # the folder or the table that was given
        self.skipped: dict[Split, dict[str, str]] = {}
        self._types: dict[Split, Counter[str]] = {}  # sample types of the files of each open split
        self._train_ahead: ImageSet | None = None  # opened before validation pictures, which need what it teaches

    @property
    def listed(self) -> ListedLabels:
        """The decisions of the list of labels, as they were when this was made."""
        return ListedLabels(self.root, ()) if self._listed is None else self._listed

    @abstractmethod
    def list_split(self, split: Split) -> FileList | None:
        """List the files of a split; ``None`` if there is no such split.

        Raises:
            TlearnError: Labels are not as expected.
        """

    def files_of(self, split: Split) -> FileList | None:
        """List the files of a split, with ``test_fraction`` those that are left, or held back, of the training files.

        Raises:
            TlearnError: There are other pictures to test on, or none is held back.
        """
        if not self.test_fraction or split == "val":
            return self.list_split(split)
        if self.list_split("test") is not None:
            raise TlearnError(
                f"data.init_args.test_fraction {self.test_fraction:g}: {self.root.absolute()} has pictures to test on "
                "already; drop the option"
            )
        files = self.list_split("train")
        return None if files is None else left_or_held_back(files, split == "test", self.test_fraction)

    def has_split(self, split: Split) -> bool:
        """Tell whether a split has files of its own; none is opened."""
        return self.files_of(split) is not None

    def open_split(self, split: Split) -> ImageSet | None:
        """List the files of a split without the excluded ones, and inspect them.

        The training pictures, those that will validate among them, teach what is black and white in all splits.

        Raises:
            TlearnError: Some cannot be read, and ``on_error`` is ``error``; all are named.
        """
        if split == "train" and self._train_ahead is not None:
            opened, self._train_ahead = self._train_ahead, None
            return opened
        files = self.files_of(split)
        if files is None and split == "val":
            return None
        if files is None:
            way = "; fit with --data.test_fraction 0.2 to hold some back" if split == "test" else ""
            where = self.root.absolute()
            raise TlearnError(f"no {split} images in {where}: neither a folder nor a row is called so{way}")
        skips = self.on_error == "skip"
        groups = groups_of_files(split, files, self.group, self.root, skips, self.group_names)
        facts, stamps = inspected_and_stamped(split, files, self.root, self.framing.reading)
        remarks_on_ranges = self._learn_ranges(split, facts)
        bad = {number: each.error for number, each in facts.items() if each.error}
        bad |= without_range(facts, self.framing.reading)
        if bad and not skips:
            refuse(split, files.names, bad, len(facts), self.root, self.source)
        good, excluded = in_groups([n for n in facts if n not in bad], groups), len(files.names) - len(facts)
        if not good:
            raise TlearnError(told_of_none_left(bad, excluded, len(files.names), self.root, split))
        remarks = [f"left out {excluded} of {EXCLUSIONS}"] if excluded else []
        remarks += [f"skipped {len(bad)} that cannot be read{told_of_reasons(bad)}"] if bad else []
        remarks += list(filter(None, [self.listed.told(split, files.names), files.remarks]))
        self.listed.warn(split)
        say_what_is_there(split, files, good, remarks, self.task, self.class_names, self.root)
        labels = [self._label(files.targets[number]) for number in good] if self.task == "classification" else None
        self._types[split] = types_of(facts.values())
        told = remarks_on(split, [facts[number] for number in good], labels, self.framing.reading)
        for level, text in [*((logging.INFO, each) for each in remarks_on_ranges), *told]:
            log.log(level, "%s", text)
        reads = self.framing.reading
        converted = converted_files([facts[n] for n in good], f"{split} pictures") if reads.converts_colour else ""
        if converted:
            log.info("%s", converted)
        crops = self.augment.resized_crop_area if split == "train" else None
        options = self.framing, self.picture_cache_gb, files.boxes is not None, crops
        kept = kept_files(split, facts, stamps, len(files.names), *options)
        contents = [facts[number].digest if number in facts else b"" for number in range(len(files.names))]
        pictures = FilePictures(self.root, files.names, contents, files.boxes, bool(converted), kept)
        images = StreamedImages(pictures, self.framing, files.targets, torch.tensor(good, dtype=torch.int64))
        images.groups = groups
        return images

    def setup(self, stage: str) -> None:
        """Open what a stage needs; warn of copies between training and validation, and of contradicting labels."""
        is_new, open_before = "train" not in self._sets, set(self._sets)
        super().setup(stage)
        if "train" in self._sets and is_new:
            self.listed.warn_of_gone()
            self._warn_of_copies()
        for split in self._types.keys() & {"val", "test"} & (self._sets.keys() - open_before):
            if told := told_of_strangers(split, self._types[split], self._types.get("train"), self.framing.reading):
                log.warning("%s", told)
        if stage == "test" and "test" not in open_before and self._sets["test"].groups is not None:
            warn_of_known_groups(self.files_of("train"), self.files_of("test"))

    def pictures_of(self, split: Split) -> list[Picture]:
        """Inspect the files of a split that are not excluded."""
        files = self.files_of(split)
        if files is None:
            return []
        self.skipped[split] = files.skipped
        return [
            Picture(
                *(split, files.names[number], self._label(files.targets[number]), each),
                *known_labels(files.targets[number], self.task, self.class_names),
                is_part=files.boxes is not None,
                group=files.groups[number] if files.groups else None,
                is_decided=self.listed.is_decided(files.names[number]),
            )
            for number, each in inspected_files(split, files, self.root, self.framing.reading).items()
        ]

    def picture_names(self, rows: Tensor, split: Split = "val") -> list[str]:
        """Return the paths of pictures of a split (B,), by their positions in their source."""
        return self._pictures(split).paths(rows)

    def split_record(self) -> dict[str, Any]:
        """Describe the split with the names of the files, which mean more to a person than positions."""
        sets = {split: (self._pictures(split), self._sets[split].indices.tolist()) for split in ("train", "val")}
        names = {f"{split}_files": [pictures.name(row) for row in rows] for split, (pictures, rows) in sets.items()}
        tested = self.files_of("test") if self.test_fraction else None
        if tested is not None:
            names["test_files"] = tested.names
            if tested.groups is not None:
                names["test_groups"] = sorted({name for name in tested.groups if name})
        ranges = self.framing.reading.ranges
        listed = self.listed.record(["train", "val"])
        return super().split_record() | names | listed | ({"ranges": dict(ranges)} if ranges else {})

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: fingerprints of the images, and of the list of labels."""
        return super().state_dict() | self.listed.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to resume on other images or labels than those of the checkpoint.

        Raises:
            TlearnError: Some were added, removed or changed.
        """
        with self.listed.blamed(state_dict) as images:
            super().load_state_dict(images)

    def _learn_ranges(self, split: Split, facts: Mapping[int, Inspection]) -> list[str]:
        """Learn what is black and white from the training pictures, once; say what was learned."""
        if not self.learns_ranges:
            return []
        if split == "train":
            found = ranges_of_training(facts.values())
            self._keep_ranges(kept_ranges(found, facts.values()))
            return [f"train: {told_of_range(kind, each)}" for kind, each in found.items()]
        if any(each.quantiles for each in facts.values()) and self.files_of("train") is not None:
            self._train_ahead = self.open_split("train")
        return []

    def _pictures(self, split: str) -> FilePictures:
        images = self._sets[split]
        assert isinstance(images, StreamedImages)
        assert isinstance(images.pictures, FilePictures)
        return images.pictures

    def _label(self, target: Tensor) -> str:
        return label_text(target, self.task, self.class_names)

    def _warn_of_copies(self) -> None:
        place: list[tuple[bytes, str, Tensor]] = []
        for split in ("train", "val"):
            images, contents = self._sets[split], self._pictures(split).contents
            place += [(contents[row], split, images.targets[row]) for row in images.indices.tolist()]
        for told in told_of_copies(place, self._are_contrary):
            log.warning("%s; %s doctor lists them", told, program())

    def _are_contrary(self, targets: Sequence[Tensor]) -> bool:
        return are_contrary(targets) if self.task == "multilabel" else len({self._label(each) for each in targets}) > 1
