"""A folder of pictures in class folders: ``root/train/<class>/...``, as torchvision's ImageFolder has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jsonargparse.typing import PositiveInt

from tlearn.base.errors import TlearnError
from tlearn.data.class_names import ClassRemark, Spelling, alike_hint, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.file_list import FileList
from tlearn.data.files.folder_layout import LAYOUT, FolderLayout, layout_of, split_folder
from tlearn.data.files.listing import Found, class_folders, counted, listed, told_of_unread
from tlearn.data.groups.rule import checked_group, groups_of_paths
from tlearn.data.images.held_back import left_to_train
from tlearn.data.images.split import class_numbers
from tlearn.data.labels.also import labelled_elsewhere
from tlearn.data.labels.classes import classes_with_list
from tlearn.data.labels.counting import listed_labels
from tlearn.data.labels.label_list import LABELS
from tlearn.data.sources.labelled_files import ImageFilesDataModule


class ImageFolderDataModule(ImageFilesDataModule):
    """``root/train/<class>/...``; ``val`` and ``test`` likewise, or held back. Or plainly ``root/<class>/...``."""

    def __init__(
        self,
        root: str,
        classes: list[str] | None = None,
        unknown_classes: Literal["error", "ignore"] = "error",
        stored_classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        also: str | list[str] | None = None,
        **options: Any,
    ) -> None:
        """List the class folders; no picture is read.

        Args:
            root: Folder that holds ``train``, and ``val`` (or ``valid``, ``validation``) and ``test`` if there are any;
                pictures lie in a folder for each class, at any depth in it. Without such folders it holds those of the
                classes itself, and all pictures are there to train on.
            classes: Names of the classes to use, numbered in the order given; by default all folders in ``train``
                and all labels that ``tlearn-labels.csv`` gives to its pictures, in the order of their code points.
            unknown_classes: What to do about a class folder in ``val`` or ``test`` that ``train`` lacks: stop, or leave
                its pictures out and log how many.
            stored_classes: The classes if there is no ``train``; the command line takes them from the checkpoint.
            min_per_class: Leave out classes with fewer picture files in ``train``, and log which; none by default.
            also: Other folders whose pictures ``tlearn label`` has labelled: those train too, and may bring classes.
            **options: Those of `ImageFilesDataModule`, `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: The folder has another layout, or fewer than 2 classes.
        """
        place = Path(root).expanduser()
        is_grouped = isinstance(options.get("group"), int)
        self._layout = layout_of(place, needs_train=stored_classes is None, is_grouped=is_grouped)
        self._listed = listed_labels(place)
        self._also = labelled_elsewhere(place, also, checked_group(options.get("group")))
        written, by_list = self._classes_of(stored_classes)
        self._spelling = Spelling(written, stored_classes or [])
        self._seen = sorted({self._spelling.of(name) for name in written}) if stored_classes != written else written
        if len(self._seen) < 2:
            raise TlearnError(f"found 1 class ({listed(written)}) in {place.absolute()}; need at least 2: {LAYOUT}")
        numbers = class_numbers(classes, self._seen)
        self.unknown_classes = unknown_classes
        names, rare = [self._seen[number] for number in numbers], list[ClassRemark]()
        if min_per_class is not None and self._layout.train is not None:
            counts = self._train_counts(place, options.get("test_fraction", 0.0), checked_group(options.get("group")))
            names, rare = frequent_classes(names, counts, min_per_class)
        super().__init__(root=place, class_names=names, **options)
        self._spelling.add(name for split in get_args(Split) for name in self._layout.folders_in(split))
        self.folders_above = self._layout.prefix_of("train").count("/") + 1
        self.class_remarks = [*_remarks_on(self._layout), *by_list, *self._spelling.remarks(self.class_names), *rare]

    def _classes_of(self, stored: Sequence[str] | None) -> tuple[list[str], list[ClassRemark]]:
        """Return the names of the classes as they are written: of folders, and of the list of labels."""
        if self._layout.train is None:  # only where a checkpoint knows the classes
            return list(stored or []), []
        names, remarks = list(self._layout.class_names), list[ClassRemark]()
        found = self._layout.find("train")
        if self.listed and found is not None:
            names, remarks = classes_with_list(names, found.names, self._labels_of("train", found))
        names += [name for name in dict.fromkeys(self._also.labels) if name not in names]
        if len(names) < 2:
            raise TlearnError(_too_few_in(self._layout.train, names))
        return names, remarks

    def _labels_of(self, split: Split, found: Found) -> list[str | None]:
        """Return the label of each picture, by its folder or by the list of labels.

        Returns:
            As it is written there; empty outside of any class folder, and ``None`` for a picture that is left out.
        """
        prefix = self._layout.prefix_of(split)
        folders = [name.partition("/")[0] if "/" in name else "" for name in found.names]
        return self.listed.labels_of(split, [prefix + name for name in found.names], folders)

    def _train_counts(self, root: Path, test_fraction: float, group: int | str | None) -> Counter[str]:
        found, prefix = self._layout.find("train") or Found(), self._layout.prefix_of("train")
        paths, labels = [prefix + name for name in found.names], self._labels_of("train", found)
        groups = groups_of_paths(group, paths, prefix.count("/") + 1)
        kept = [labels[number] for number in left_to_train(root, paths, groups, test_fraction)]
        return Counter(self._spelling.of(label) for label in [*kept, *self._also.labels] if label)

    def list_split(self, split: Split) -> FileList | None:
        """List the pictures of a split's class folders.

        Raises:
            TlearnError: It has a class that ``train`` lacks.
        """
        folder, prefix = self._layout.folder_of(split), self._layout.prefix_of(split)
        found = self._layout.find(split)
        if folder is None or found is None:
            return None
        places = {name: number for number, name in enumerate(self.class_names)}
        names, labels, others = list[str](), list[int](), Counter[str]()
        for name, written in zip(found.names, self._labels_of(split, found), strict=True):
            label = self._spelling.of(written) if written else written
            if label in places:
                names.append(prefix + name)
                labels.append(places[label])
            elif label is not None:
                others[label] += 1
        remarks = [*self._remarks(split, folder, others), *([found.left_out()] if found.left_out() else [])]
        if not names:
            told = "; ".join(
                filter(None, [told_of_unread(found.unread), found.left_out(), self.listed.told(split, ())])
            )
            left_out = f" ({told})" if told else ""
            way = "" if found.unread else "; add some, or remove the folder"
            raise TlearnError(f"no picture in a class folder of {folder.absolute()}{left_out}{way}")
        skipped = {prefix + name: name.rpartition("/")[0].partition("/")[0] for name in found.others}
        groups = groups_of_paths(self.group, names, prefix.count("/") + 1)
        targets = torch.tensor(labels, dtype=torch.int64)
        files = FileList(names, targets, "; ".join(remarks), skipped, groups=groups)
        return self._also.added_to(files, self._number_of) if split == "train" else files

    def _number_of(self, name: str, label: str) -> int | None:
        """Return the class of a picture of another folder; ``None`` if it is left out, or its class not chosen."""
        (decided,) = self.listed.labels_of("train", [name], [label])
        written = self._spelling.of(decided) if decided else ""
        return self.class_names.index(written) if written in self.class_names else None

    def class_folders(self, split: Split) -> tuple[str, list[str]] | None:
        """Return the beginning of the paths of a split's class folders, and their names; ``None`` without the split."""
        if self._layout.folder_of(split) is None:
            return None
        return self._layout.prefix_of(split), self._layout.folders_in(split)

    def _remarks(self, split: Split, folder: Path, others: Counter[str]) -> list[str]:
        unknown = {name: count for name, count in others.items() if name and name not in self._seen}
        if unknown and self.unknown_classes == "error":
            what = f"the folder or {LABELS}" if self.listed else "the folder"
            raise TlearnError(
                f"{folder.absolute()} has a class that is not trained on: {counted(unknown)}; the classes are "
                f"{', '.join(self.class_names)}: mend {what}, or data.init_args.unknown_classes ignore"
                f"{alike_hint(unknown, self.class_names)}"
            )
        unused = {name: count for name, count in others.items() if name in self._seen}
        hint = alike_hint(unknown, self._seen)
        remarks = [f"ignored classes not trained on: {counted(unknown)}{hint}"] if unknown else []
        remarks += [f"classes not chosen: {counted(unused)}"] if unused else []
        return remarks + ([f"ignored {others['']} pictures outside any class folder"] if others[""] else [])


def class_folders_to_train(root: Path) -> tuple[Path | None, str]:
    """Return the folder ``train`` of a root, if there is one, and the beginning of the paths in it."""
    train = split_folder(root, "train")
    return train, f"{train.name}/" if train else ""


def _remarks_on(layout: FolderLayout) -> list[ClassRemark]:
    notes = [ClassRemark("layout", "note", layout.note)] if layout.note else []
    return [*notes, *(ClassRemark("layout", "warning", doubt) for doubt in layout.doubts)]


def _too_few_in(train: Path, names: Sequence[str]) -> str:
    inner = class_folders(train / names[0]) if names else []
    deeper = f", which holds {listed(inner)}" if inner else ""
    found = f"found {len(names)} class{'es' * (not names)} ({listed(names, 'no folder')})"
    return f"{found} in {train.absolute()}{deeper}; need at least 2: {LAYOUT}"
