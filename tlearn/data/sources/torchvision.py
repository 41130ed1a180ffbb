"""Data sets of torchvision as a data module, and their files."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveInt
from torchvision import datasets

from tlearn.base.errors import TlearnError
from tlearn.data.class_names import frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.timeout import short_timeout
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.split import class_numbers
from tlearn.data.sources.items import ItemsDataModule, LabelledItems, trained_classes
from tlearn.data.sources.torchvision_classes import (
    Labels,
    check_name,
    labels_of,
    names_of,
    reason,
)


class TorchvisionSource:
    """One of torchvision's datasets, whose splits are opened one by one.

    Attributes:
        name: Name of the class.
        root: The folder of its files.
        options: Arguments that choose a version of it.
        splits: For each split the argument that asks for it.
    """

    def __init__(self, name: str, root: Path, download: bool, options: dict[str, Any]) -> None:
        """Look the class up; no file is opened.

        Raises:
            TlearnError: It is unknown, or not of pictures with one class each, or an option is not its own.
        """
        self.name, self.root, self.download, self.options = name, root, download, options
        self.splits, _, self._fetches = check_name(name, options)
        self._kind: Any = getattr(datasets, name)

    def open(self, split: Split) -> Any:
        """Open a split; missing files are downloaded if that is allowed.

        Raises:
            TlearnError: The files are missing and cannot be downloaded; names the folder.
        """
        arguments = {"root": str(self.root), **self.options, **self.splits[split]}
        try:  # without the network first: some classes download although all files are there
            return self._kind(**arguments, **({"download": False} if self._fetches else {}))
        except (ValueError, TypeError, ImportError) as fault:  # not mended by a download
            raise TlearnError(f"torchvision's {self.name} in {self.root}: {reason(fault)}") from fault
        except Exception as fault:  # another library's code reads another's files
            if not self._fetches or not self.download:
                way = "set data.init_args.download true or " if self._fetches else ""
                raise TlearnError(f"{self._missing(split)} ({reason(fault)}); {way}put its files there") from fault
        try:
            with short_timeout():
                return self._kind(**arguments, download=True)
        except Exception as fault:
            raise TlearnError(
                f"{self._missing(split)} and cannot be fetched ({_address(fault)}{reason(fault)}); try again, or put "
                "its files there"
            ) from fault

    def _missing(self, split: str) -> str:
        return f"torchvision's {self.name} ({split}) is not in {self.root}"


def _address(fault: Exception) -> str:
    """Return the URL and the path of the download that failed.

    torchvision's messages mostly lack both, and no hook passes them, so they are read from the traceback.
    """
    calls = [frame.f_locals for frame, _ in traceback.walk_tb(fault.__traceback__)]
    return next((f"{call['url']} -> {call['fpath']}: " for call in calls if {"url", "fpath"} <= set(call)), "")


class TorchvisionDataModule(ItemsDataModule):
    """FashionMNIST, Flowers102, OxfordIIITPet, EuroSAT and their like."""

    root: Path
    _probed = 16  # each is decoded, and nearly all of torchvision's sets are of 8 bits

    def __init__(
        self,
        dataset: str,
        root: str = "data",
        download: bool = True,
        classes: list[str] | None = None,
        dataset_options: dict[str, Any] | None = None,
        min_per_class: PositiveInt | None = None,
        **options: Any,
    ) -> None:
        """Open the training images, which name the classes; missing files are downloaded.

        Args:
            dataset: Name of the class in ``torchvision.datasets``. Its own validation split is used; where it has
                none, validation is split off.
            root: Folder that holds its files, or will.
            download: Download missing files.
            classes: Names of the classes to use, numbered in the order given; by default all that have training
                images, in the dataset's order. Where it gives no names they are numbers, ``"0"``.
            dataset_options: What else its class takes to choose a version: ``{split: letters}`` for EMNIST,
                ``{partition: 2}`` for DTD, ``{size: 160px}`` for Imagenette.
            min_per_class: Leave out classes with fewer training images, and say which; none by default.
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: It is unknown, has not one class an image, or its files cannot be downloaded.
        """
        self.root = Path(root).expanduser().absolute()
        self._source = TorchvisionSource(dataset, self.root, download, dataset_options or {})
        items = self._source.open("train")
        labels = labels_of(items, f"torchvision's {dataset}")
        self._names = names_of(items, labels)
        self._train = self._named("train", items, labels)
        self._seen = trained_classes(self._train, list(self._names.values()))
        chosen = [self._seen[number] for number in class_numbers(classes, self._seen)]
        chosen, rare = frequent_classes(chosen, self._train.counts, min_per_class)
        super().__init__(class_names=chosen, task="classification", **options)
        self.class_remarks = rare

    def open_split(self, split: Split) -> ImageSet | None:
        """Serve the training images that are open already, or open another split.

        Raises:
            TlearnError: There is no test split, or its files cannot be downloaded.
        """
        if split == "train":
            return self._images_of(self._train, split)
        if split not in self._source.splits:
            if split == "val":
                return None
            raise TlearnError(
                f"torchvision's {self._source.name} has no test images: all train, or validate; use validate instead"
            )
        items = self._source.open(split)
        source = self._named(split, items, labels_of(items, f"torchvision's {self._source.name}"))
        return self._images_of(source, split)

    def _named(self, split: Split, items: Any, labels: Labels) -> LabelledItems:
        chosen = self._source.options | self._source.splits[split]
        about = "".join(f", {name} {value}" for name, value in chosen.items())
        identity = f"torchvision's {self._source.name}{about}, {len(items)} items in {self.root}"
        return LabelledItems(items, identity, [None if each is None else self._name(each) for each in labels])

    def _name(self, label: int) -> str:
        return self._names.get(label, str(label))
