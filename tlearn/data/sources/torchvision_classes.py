"""The datasets of torchvision that tlearn reads: their splits, options, labels and class names. N items."""

from __future__ import annotations

import inspect
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from torchvision import datasets

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.progress import tracked
from tlearn.data.datamodule import Split
from tlearn.data.files.reading import reason_of

log = logging.getLogger(__name__)


Splits = Mapping[Split, dict[str, Any]]


class Catalogued(NamedTuple):
    """What a class of torchvision's takes.

    Attributes:
        splits: For each split there is, the argument that asks for it.
        options: Arguments that choose a version and change neither what an item is nor which split it belongs to.
        fetches: It can download its files.
    """

    splits: Splits
    options: tuple[str, ...] = ()
    fetches: bool = True


def _called(train: str = "train", val: str | None = None, test: str | None = "test") -> Splits:
    names: dict[Split, str | None] = {"train": train, "val": val, "test": test}
    return {split: {"split": name} for split, name in names.items() if name}


_WHOLE: Splits = {"train": {}}  # no splits: all images train
_FLAG: Splits = {"train": {"train": True}, "test": {"train": False}}
_ALL_THREE = _called(val="val")

# The datasets of a picture and one class, as read in torchvision 0.29. LFWPeople is left out because it tests on other
# people than it trains on, and Omniglot because its class numbers depend on the order in which a folder is listed.
WORKING = {
    "CIFAR10": Catalogued(_FLAG),
    "CIFAR100": Catalogued(_FLAG),
    "CLEVRClassification": Catalogued(_ALL_THREE),
    "Caltech101": Catalogued(_WHOLE),
    "Caltech256": Catalogued(_WHOLE),
    "Country211": Catalogued(_called(val="valid")),
    "DTD": Catalogued(_ALL_THREE, ("partition",)),
    "EMNIST": Catalogued(_FLAG, ("split",)),
    "EuroSAT": Catalogued(_WHOLE),
    "FER2013": Catalogued(_called(), fetches=False),
    "FGVCAircraft": Catalogued(_ALL_THREE, ("annotation_level",)),
    "FashionMNIST": Catalogued(_FLAG),
    "Flowers102": Catalogued(_ALL_THREE),
    "Food101": Catalogued(_called()),
    "GTSRB": Catalogued(_called()),
    "INaturalist": Catalogued(_WHOLE, ("version",)),
    "ImageNet": Catalogued(_called(val="val", test=None), fetches=False),
    "Imagenette": Catalogued(_called(val="val", test=None), ("size",)),
    "KMNIST": Catalogued(_FLAG),
    "MNIST": Catalogued(_FLAG),
    "OxfordIIITPet": Catalogued(_called("trainval")),
    "PCAM": Catalogued(_ALL_THREE),
    "Places365": Catalogued(_called("train-standard", "val"), ("small",)),
    "QMNIST": Catalogued(_FLAG),
    "RenderedSST2": Catalogued(_ALL_THREE),
    "SEMEION": Catalogued(_WHOLE),
    "STL10": Catalogued(_called(), ("folds",)),
    "SUN397": Catalogued(_WHOLE),
    "SVHN": Catalogued(_called()),
    "StanfordCars": Catalogued(_called()),
    "USPS": Catalogued(_FLAG),
}


def check_name(name: str, options: Mapping[str, Any]) -> Catalogued:
    """Look up a dataset and check the options that choose a version of it.

    Raises:
        TlearnError: It is unknown, or not of images with one class each, or an option is not its own or is missing.
    """
    if name not in WORKING:
        raise _unknown_dataset(name)
    if name == "PCAM" and find_spec("h5py") is None:
        raise TlearnError("torchvision's PCAM: h5py is not found; pip install h5py")
    found = WORKING[name]
    for option in options:
        if option not in found.options:
            raise unknown(f"option of torchvision's {name}", option, found.options or ["none"])
    if "split" in found.options and "split" not in options:
        raise TlearnError(
            f"torchvision's {name} is several datasets; set data.init_args.dataset_options.split to one of "
            f"{', '.join(getattr(datasets, name).splits)}"
        )
    return found


def _unknown_dataset(name: str) -> TlearnError:
    if not inspect.isclass(getattr(datasets, name, None)):
        return unknown("dataset of torchvision", name, WORKING)
    more = "; use ImageFolderDataModule" if "Folder" in name else ""
    return TlearnError(
        f"torchvision's {name} is not among its datasets with one class an image that tlearn reads{more}; those: "
        f"{', '.join(WORKING)}"
    )


def reason(fault: Exception) -> str:
    """Return torchvision's message in one line, without its advice to pass ``download=True``."""
    return re.sub(r"\.? You can (use|set) download=True.*", "", one_line(fault)).strip()[:200]


# Where torchvision's classes keep the label of each item; there is no rule, so these are tried in turn.
_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("_samples", "samples")  # (picture, label)
_LABEL_ATTRIBUTES = ("classes", "categories", "all_categories")

Labels = Sequence[int | None]


def labels_of(items: Any, what: str) -> Labels:
    """Return the N labels, without decoding pictures if the dataset keeps labels apart.

    Args:
        items: The dataset.
        what: Its name, for messages.

    Raises:
        TlearnError: An item has no single whole number for a label, or cannot be read.
    """
    for found in _kept_apart(items):
        if _are_labels(found, len(items)):
            return [None if label is None else int(label) for label in found]
    log.info("reading all %d items of %s once: their labels are kept nowhere else", len(items), what)
    return [_label_of(items, row, what) for row in tracked(range(len(items)), "reading labels", len(items), "items")]


def names_of(items: Any, labels: Labels) -> dict[int, str]:
    """Return label -> name for all labels that the dataset names; if it names too few, the labels as text."""
    held = (getattr(items, name, None) for name in _LABEL_ATTRIBUTES)
    found = next((names for names in held if isinstance(names, (list, tuple))), ())
    highest = max((label for label in labels if label is not None), default=-1)
    if len(found) <= highest:
        return {label: str(label) for label in sorted({label for label in labels if label is not None})}
    names = [", ".join(name) if isinstance(name, tuple) else str(name) for name in found]  # ImageNet gives synonyms
    twice = {name for name, count in Counter(names).items() if count > 1}
    return {label: f"{name} ({label})" if name in twice else name for label, name in enumerate(names)}


def _kept_apart(items: Any) -> Iterator[Any]:
    yield from (getattr(items, name) for name in _LABELS if getattr(items, name, None) is not None)
    for name in _PAIRS:
        if getattr(items, name, None) is not None:
            yield [pair[1] for pair in getattr(items, name)]


def _are_labels(found: Any, count: int) -> bool:
    array = np.asarray(found)
    if array.shape != (count,):
        return False
    return array.dtype.kind in "iu" or all(label is None or isinstance(label, int) for label in array.tolist())


def _label_of(items: Any, row: int, what: str) -> int | None:
    try:
        picture, label = items[row]
        picture.close()  # some files are opened and not read yet
    except Exception as error:  # another library's code reads another's files
        raise TlearnError(f"item {row} of {what}: {reason_of(error)}; mend or replace it") from error
    if label is None or (np.ndim(label) == 0 and isinstance(label, (int, np.integer))):
        return None if label is None else int(label)
    raise TlearnError(f"item {row} of {what}: expected one class, a whole number, got {str(label)[:40]}")
