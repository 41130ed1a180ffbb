"""The base of folders and tables: picture files with labels. Letters: N files, K classes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import plain_values
from tlearn.base.program import program
from tlearn.data.datamodule import Split
from tlearn.data.files.boxes import of_box
from tlearn.data.files.colour_spaces import converted_files
from tlearn.data.files.duplicates import told_of_copies
from tlearn.data.files.exclusions import EXCLUSIONS, kept_positions, read_exclusions
from tlearn.data.files.file_list import FileList
from tlearn.data.files.findings import Picture
from tlearn.data.files.inspection import Inspection, inspect_files
from tlearn.data.files.sample_types import (
    kept_ranges,
    ranges_of_training,
    remarks_on,
    told_of_range,
    told_of_strangers,
    types_of,
    without_range,
)
from tlearn.data.files.unreadable import told_of_all, told_of_reasons
from tlearn.data.groups.files import groups_of_files, in_groups, warn_of_known_groups
from tlearn.data.groups.rule import checked_group
from tlearn.data.images.held_back import left_or_held_back
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.sources.bases import PictureDataModule
from tlearn.data.sources.table_paths import misplaced
from tlearn.data.split_remarks import are_contrary, say_what_is_there

log = logging.getLogger(__name__)


class ImageFilesDataModule(PictureDataModule, ABC):
    """Picture files, all of which are inspected before training starts.

    Attributes:
        root: The folder that the files' names are relative to, and of the exclusion list.
        folders_above: How many folders lie above those of a class's own in each path.
        skipped: For each split that `pictures_of` has listed, files that are no pictures by ending, and their classes.
    """

    root: Path
    folders_above = 0

    def __init__(
        self,
        *,
        root: Path,
        on_error: Literal["error", "skip"] = "error",
        test_fraction: float = 0.0,
        group: int | str | None = None,
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
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: ``test_fraction`` is not from 0 to below 1, or ``group`` is neither number nor text.
        """
        super().__init__(**options)
        (share,) = plain_values(test_fraction=test_fraction)
        if not (isinstance(share, (int, float)) and 0 <= share < 1):
            raise TlearnError(f"data.init_args.test_fraction: expected from 0 to below 1, got {share}")
        self.test_fraction, self.group = share, checked_group(group)
        self.root, self.on_error = root, on_error
        self.source = self.root  # the folder or the table that was given
        self.skipped: dict[Split, dict[str, str]] = {}
        self._types: dict[Split, Counter[str]] = {}  # sample types of the files of each open split
        self._train_ahead: ImageSet | None = None  # opened before validation pictures, which need what it teaches

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
        facts = self._inspected(split, files)
        remarks_on_ranges = self._learn_ranges(split, facts)
        bad = {number: each.error for number, each in facts.items() if each.error}
        bad |= without_range(facts, self.framing.reading)
        if bad and not skips:
            self._refuse(split, files, bad, len(facts))
        good, excluded = in_groups([n for n in facts if n not in bad], groups), len(files.names) - len(facts)
        if not good:
            raise TlearnError(
                f"no {split} images left in {self.root.absolute()}: {len(files.names)} files, "
                f"{excluded} of them on the list {EXCLUSIONS}, {len(bad)} unreadable{told_of_reasons(bad)}"
            )
        remarks = [f"left out {excluded} of {EXCLUSIONS}"] if excluded else []
        remarks += [f"skipped {len(bad)} that cannot be read{told_of_reasons(bad)}"] if bad else []
        remarks += [files.remarks] if files.remarks else []
        say_what_is_there(split, files, good, remarks, self.task, self.class_names, self.root)
        labels = [self._label(files.targets[number]) for number in good] if self.task == "classification" else None
        self._types[split] = types_of(facts.values())
        told = remarks_on(split, [facts[number] for number in good], labels, self.framing.reading)
        for level, text in [*((logging.INFO, each) for each in remarks_on_ranges), *told]:
            log.log(level, "%s", text)
        contents = [facts[number].digest if number in facts else b"" for number in range(len(files.names))]
        reads = self.framing.reading
        converted = converted_files([facts[n] for n in good], f"{split} pictures") if reads.converts_colour else ""
        if converted:
            log.info("%s", converted)
        pictures = FilePictures(self.root, files.names, contents, files.boxes, has_other_colours=bool(converted))
        images = StreamedImages(pictures, self.framing, files.targets, torch.tensor(good, dtype=torch.int64))
        images.groups = groups
        return images

    def _refuse(self, split: Split, files: FileList, bad: dict[int, str], looked_at: int) -> NoReturn:
        told = misplaced({files.names[number]: why for number, why in bad.items()}, looked_at, self.root)
        if told:
            raise TlearnError(f"{split}: {told}")
        raise TlearnError(told_of_all(bad, len(files.names), self.root, files.names, split, self.source))

    def setup(self, stage: str) -> None:
        """Open what a stage needs; warn of copies between training and validation, and of contradicting labels."""
        is_new, open_before = "train" not in self._sets, set(self._sets)
        super().setup(stage)
        if "train" in self._sets and is_new:
            self._warn_of_copies()
        for split in self._types.keys() & {"val", "test"} & (self._sets.keys() - open_before):
            trained = self._types.get("train")
            told = told_of_strangers(split, self._types[split], trained, self.framing.reading)
            if told:
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
                *(split, files.names[number], self._label(files.targets[number]), each, *self._known(files, number)),
                is_part=files.boxes is not None,
                group=files.groups[number] if files.groups else None,
            )
            for number, each in self._inspected(split, files).items()
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
        return super().split_record() | names | ({"ranges": dict(ranges)} if ranges else {})

    def _inspected(self, split: Split, files: FileList) -> dict[int, Inspection]:
        """Inspect the files that are not excluded: position -> result."""
        kept = kept_positions(files.names, read_exclusions(self.root))
        names = list(dict.fromkeys(files.names[number] for number in kept))  # a picture may hold several objects
        found = inspect_files([self.root / name for name in names], f"checking {split}", self.framing.reading)
        by_name = dict(zip(names, found, strict=True))
        facts = {number: by_name[files.names[number]] for number in kept}
        boxes = files.boxes
        return facts if boxes is None else {n: of_box(each, tuple(boxes[n].tolist())) for n, each in facts.items()}

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
        if self.task == "regression":
            return ", ".join(f"{value:g}" for value in target.reshape(-1).tolist())
        numbers = (target > 0).nonzero().flatten().tolist() if target.ndim else [int(target)]
        return ", ".join(self.class_names[number] for number in numbers)

    def _known(self, files: FileList, number: int) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        """Return the labels that a picture has and those that are not known; ``None`` if it has one class."""
        if self.task != "multilabel":
            return None if self.task == "classification" else (), ()
        target = files.targets[number].tolist()
        named = list(zip(self.class_names, target, strict=True))
        return tuple(name for name, value in named if value == 1), tuple(name for name, v in named if v != v)

    def _warn_of_copies(self) -> None:
        place: list[tuple[bytes, str, Tensor]] = []
        for split in ("train", "val"):
            images = self._sets[split]
            contents = self._pictures(split).contents
            place += [(contents[row], split, images.targets[row]) for row in images.indices.tolist()]
        for told in told_of_copies(place, self._are_contrary):
            log.warning("%s; %s doctor lists them", told, program())

    def _are_contrary(self, targets: Sequence[Tensor]) -> bool:
        return are_contrary(targets) if self.task == "multilabel" else len({self._label(each) for each in targets}) > 1
