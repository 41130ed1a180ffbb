"""A folder of pictures in class folders: ``root/train/<class>/...``, as torchvision's ImageFolder has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse.typing import PositiveInt

from tlearn.base.errors import TlearnError
from tlearn.data.class_names import ClassRemark, Spelling, alike_hint, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.listing import class_folders, counted, find_pictures, listed
from tlearn.data.images.split import class_numbers
from tlearn.data.sources.labelled_files import FileList, ImageFilesDataModule

_FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}
LAYOUT = "expected ROOT/train/<class>/*.jpg, and ROOT/val and ROOT/test likewise if there are any"


class ImageFolderDataModule(ImageFilesDataModule):
    """``root/train/<class>/...``; ``val`` and ``test`` likewise, or validation split off, stratified."""

    def __init__(
        self,
        root: str,
        classes: list[str] | None = None,
        unknown_classes: Literal["error", "ignore"] = "error",
        stored_classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        **options: Any,
    ) -> None:
        """List the class folders; no picture is read.

        Args:
            root: Folder that holds ``train``, and ``val`` (or ``valid``, ``validation``) and ``test`` if there are any;
                pictures lie in a folder for each class, at any depth in it.
            classes: Names of the classes to use, numbered in the order given; by default all folders in ``train``,
                in the order of their code points.
            unknown_classes: What to do about a class folder in ``val`` or ``test`` that ``train`` lacks: stop, or leave
                its pictures out and log how many.
            stored_classes: The classes if there is no ``train``; the command line takes them from the checkpoint.
            min_per_class: Leave out classes with fewer picture files in ``train``, and log which; none by default.
            **options: Those of `ImageFilesDataModule`, `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: The folder has another layout, or fewer than 2 classes.
        """
        place = Path(root).expanduser()
        written = _classes_in(place, stored_classes)
        self._spelling = Spelling(written, stored_classes or [])
        self._seen = sorted({self._spelling.of(name) for name in written}) if stored_classes != written else written
        if len(self._seen) < 2:
            raise TlearnError(f"found 1 class ({listed(written)}) in {place.absolute()}; need at least 2: {LAYOUT}")
        numbers = class_numbers(classes, self._seen)
        self.unknown_classes = unknown_classes
        names, rare = [self._seen[number] for number in numbers], list[ClassRemark]()
        if min_per_class is not None and _folder_of(place, "train"):
            names, rare = frequent_classes(names, self._train_counts(place), min_per_class)
        super().__init__(root=place, class_names=names, **options)
        self._spelling.add(name for split in _FOLDERS for name in _folders_in(place, split))
        self.class_remarks = [*self._spelling.remarks(self.class_names), *rare]

    def _train_counts(self, root: Path) -> Counter[str]:
        folder = _folder_of(root, "train")
        assert folder is not None
        names = find_pictures(folder).names
        kept = kept_positions([f"{folder.name}/{name}" for name in names], read_exclusions(root))
        return Counter(self._spelling.of(names[number].partition("/")[0]) for number in kept)

    def list_split(self, split: Split) -> FileList | None:
        """List the pictures of a split's class folders.

        Raises:
            TlearnError: It has a class that ``train`` lacks.
        """
        folder = _folder_of(self.root, split)
        if folder is None:
            return None
        found = find_pictures(folder)
        places = {name: number for number, name in enumerate(self.class_names)}
        names, labels, others = list[str](), list[int](), Counter[str]()
        for name in found.names:
            folder_name, _, inside = name.partition("/")
            label = self._spelling.of(folder_name)
            if inside and label in places:
                names.append(f"{folder.name}/{name}")
                labels.append(places[label])
            else:
                others[label if inside else ""] += 1
        remarks = [*self._remarks(split, folder, others), *([found.left_out()] if found.left_out() else [])]
        if not names:
            left_out = f" ({found.left_out()})" if found.left_out() else ""
            raise TlearnError(
                f"no picture in a class folder of {folder.absolute()}{left_out}; add some, or remove the folder"
            )
        skipped = [f"{folder.name}/{name}" for name in found.others]
        return FileList(names, torch.tensor(labels, dtype=torch.int64), "; ".join(remarks), skipped)

    def _remarks(self, split: Split, folder: Path, others: Counter[str]) -> list[str]:
        unknown = {name: count for name, count in others.items() if name and name not in self._seen}
        if unknown and self.unknown_classes == "error":
            raise TlearnError(
                f"{folder.absolute()} has a class that is not trained on: {counted(unknown)}; the classes are "
                f"{', '.join(self.class_names)}: mend the folder, or data.init_args.unknown_classes ignore"
                f"{alike_hint(unknown, self.class_names)}"
            )
        unused = {name: count for name, count in others.items() if name in self._seen}
        hint = alike_hint(unknown, self._seen)
        remarks = [f"ignored classes not trained on: {counted(unknown)}{hint}"] if unknown else []
        remarks += [f"classes not chosen: {counted(unused)}"] if unused else []
        return remarks + ([f"ignored {others['']} pictures outside any class folder"] if others[""] else [])


def class_folders_to_train(root: Path) -> tuple[Path | None, str]:
    """Return the folder ``train`` of a root, if there is one, and the beginning of the paths in it."""
    train = _folder_of(root, "train")
    return train, f"{train.name}/" if train else ""


def _folder_of(root: Path, split: Split) -> Path | None:
    exact = next((root / name for name in _FOLDERS[split] if (root / name).is_dir()), None)
    if exact is not None or not root.is_dir():
        return exact
    # Windows and macOS do not distinguish Val from val, so both occur.
    return next((root / name for name in class_folders(root) if name.lower() in _FOLDERS[split]), None)


def _folders_in(root: Path, split: Split) -> list[str]:
    folder = _folder_of(root, split)
    return [] if folder is None else class_folders(folder)


def _classes_in(root: Path, stored: Sequence[str] | None) -> list[str]:
    place = root.absolute()
    if not root.is_dir():
        what = "a file, not a folder," if root.exists() else "no folder"
        raise TlearnError(f"data.init_args.root: {what} at {place}; {LAYOUT}")
    train = _folder_of(root, "train")
    if train is None and stored is not None:
        return list(stored)
    if train is None:
        names = class_folders(root)
        inner = [name for name in names if (root / name / "train").is_dir()]
        hint = f"; did you mean {place / inner[0]}?" if inner else ""
        if root.name == "train":
            hint = f"; did you mean {place.parent}?"
        raise TlearnError(f"no folder train in {place}, which holds {listed(names, 'no folder')}; {LAYOUT}{hint}")
    names = class_folders(train)
    if len(names) < 2:
        inner = class_folders(train / names[0]) if names else []
        deeper = f", which holds {listed(inner)}" if inner else ""
        found = f"found {len(names)} class{'es' * (not names)} ({listed(names, 'no folder')})"
        raise TlearnError(f"{found} in {train.absolute()}{deeper}; need at least 2: {LAYOUT}")
    return names
