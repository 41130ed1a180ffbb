"""A folder in which the list alone gives the labels: pictures in no class folder, as ``tlearn label`` leaves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse.typing import PositiveInt
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import path_form
from tlearn.base.next_command import command_line
from tlearn.data.class_names import ClassRemark, Spelling, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.exclusions import EXCLUSIONS
from tlearn.data.files.file_list import FileList
from tlearn.data.files.folder_layout import LAYOUT, folder_above
from tlearn.data.files.listing import Found, class_folders, find_pictures, number_of
from tlearn.data.groups.rule import checked_group, groups_of_paths
from tlearn.data.images.held_back import left_to_train
from tlearn.data.images.split import class_numbers
from tlearn.data.labels.apply import UNDO
from tlearn.data.labels.counting import listed_labels
from tlearn.data.labels.label_list import LABELS, LabelList
from tlearn.data.sources.labelled_files import ImageFilesDataModule

_UNLABELLED = -1


class ListedFolderDataModule(ImageFilesDataModule):
    """Pictures in a folder, at any depth, whose labels stand in its ``tlearn-labels.csv``; all of them train."""

    def __init__(
        self,
        root: str,
        classes: list[str] | None = None,
        stored_classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        needs_labels: bool = True,
        **options: Any,
    ) -> None:
        """Read the list; no picture is read.

        Args:
            root: The folder, with the list in it.
            classes: Names of the classes to use, numbered in the order given; by default all of the list, in the order
                of their code points.
            stored_classes: The classes of a checkpoint, whose spelling wins; the command line sets it.
            min_per_class: Leave out classes with fewer pictures, and log which; none by default.
            needs_labels: Take the labelled pictures only, and refuse fewer than two classes. ``doctor``, which looks at
                every picture, does not.
            **options: Those of `ImageFilesDataModule`, `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: The list is damaged, or names fewer than 2 classes.
        """
        place = Path(root).expanduser()
        if not place.is_dir():
            raise TlearnError(f"data.init_args.root: no folder at {place.absolute()}")
        self._needs_labels, self._found = needs_labels, _without_lists(find_pictures(place))
        if not self._found.names:
            raise TlearnError(f"no picture in {place.absolute()}; {LAYOUT}")
        self._listed = listed_labels(place)
        decided, remark = self.listed.labels_alone("train", self._found.names), _remark_on_rows(place, self._found)
        self._left_out = {name for name, label in decided.items() if label is None}
        self._spelling = Spelling(filter(None, decided.values()), stored_classes or [])
        self._labels = {name: self._spelling.of(label) for name, label in decided.items() if label}
        seen = sorted(set(self._labels.values()))
        if needs_labels and len(seen) < 2:
            _refuse(place, self._found, seen)
        names = [seen[number] for number in class_numbers(classes, seen, 2 if needs_labels else 0)]
        counts = {} if min_per_class is None else self._counts(place, options)
        names, rare = frequent_classes(names, counts, min_per_class)
        super().__init__(root=place, class_names=names, **options)
        self.class_remarks = [
            *([ClassRemark("layout", "note", remark)] if remark else []),
            *([ClassRemark("layout", "warning", doubt)] if not seen and (doubt := _doubt_of(place)) else []),
            *self._spelling.remarks(self.class_names),
            *rare,
        ]

    def list_split(self, split: Split) -> FileList | None:
        """List the labelled pictures, all of which train, without those of classes that are not chosen."""
        if split != "train":
            return None
        places = {name: number for number, name in enumerate(self.class_names)}
        unlabelled = {name for name in self._found.names if name not in self._labels} - self._left_out
        chosen = [
            name
            for name in self._found.names
            if self._labels.get(name) in places or (not self._needs_labels and name in unlabelled)
        ]
        targets = [places.get(self._labels.get(name, ""), _UNLABELLED) for name in chosen]
        others = len(self._labels) - sum(number != _UNLABELLED for number in targets)
        left = len(unlabelled)
        remarks = [f"not used, without a label: {number_of(left, 'picture')}"] if left and self._needs_labels else []
        remarks += [f"not used, of classes not chosen: {number_of(others, 'picture')}"] if others else []
        remarks += [self._found.left_out()] if self._found.left_out() else []
        groups = groups_of_paths(self.group, chosen)
        skipped = dict.fromkeys(self._found.others, "")
        return FileList(chosen, torch.tensor(targets, dtype=torch.int64), "; ".join(remarks), skipped, groups=groups)

    def class_folders(self, split: Split) -> tuple[str, list[str]] | None:
        """Return the folders that pictures would be moved to, behind an empty beginning of their paths."""
        return ("", class_folders(self.root)) if split == "train" else None

    def _label(self, target: Tensor) -> str:
        return "" if int(target) == _UNLABELLED else super()._label(target)

    def _counts(self, root: Path, options: Mapping[str, Any]) -> Counter[str]:
        names = list(self._labels)
        groups = groups_of_paths(checked_group(options.get("group")), names)
        kept = left_to_train(root, names, groups, options.get("test_fraction", 0.0))
        return Counter(self._labels[names[number]] for number in kept)


def _without_lists(found: Found) -> Found:
    others = [name for name in found.others if name not in (LABELS, EXCLUSIONS, UNDO)]
    return replace(found, others=others)


def _remark_on_rows(root: Path, found: Found) -> str:
    names = {path_form(name) for name in found.names}
    gone = sum(path_form(path) not in names for path in LabelList(root).read())
    return f"{number_of(gone, 'row')} of {LABELS} without a picture in {root.absolute()}" if gone else ""


def _doubt_of(root: Path) -> str:
    above = folder_above(root)
    return (
        f"no label is known here, beside other folders of pictures; if those are classes, look at {above}"
        if above
        else ""
    )


def _refuse(root: Path, found: Found, seen: list[str]) -> None:
    labelled = f"{number_of(len(seen), 'class', 'classes')} in its {LABELS}" if seen else "no label"
    raise TlearnError(
        f"{root.absolute()} holds {number_of(len(found.names), 'picture')} in no class folders, and {labelled}; need "
        f"at least 2 classes: label some (next: {command_line('label', str(root), '--next', '50')}), or {LAYOUT}"
    )
