"""Which data sets torchvision has, and the names of their classes."""

from __future__ import annotations

import inspect
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torchvision import datasets

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.data.datamodule import Split
from tlearn.data.files.progress import tracked
from tlearn.data.files.reading import reason_of

log = logging.getLogger(__name__)


# Those that give a picture and one class, as read in torchvision 0.29. Not LFWPeople, which tests on other people than
# it trains on, nor Omniglot, whose classes are numbered as a folder happens to list them.
WORKING = (
    *("CIFAR10", "CIFAR100", "CLEVRClassification", "Caltech101", "Caltech256", "Country211", "DTD", "EMNIST"),
    *("EuroSAT", "FER2013", "FGVCAircraft", "FashionMNIST", "Flowers102", "Food101", "GTSRB", "INaturalist"),
    *("ImageNet", "Imagenette", "KMNIST", "MNIST", "OxfordIIITPet", "PCAM", "Places365", "QMNIST"),
    *("RenderedSST2", "SEMEION", "STL10", "SUN397", "SVHN", "StanfordCars", "USPS"),
)
# What chooses a version of a dataset and changes neither what an item is nor which split it belongs to.
_OPTIONS = ("split", "partition", "annotation_level", "size", "small", "folds", "version")
_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "trainval", "train-standard"),
    "val": ("val", "valid"),
    "test": ("test",),
}

Splits = Mapping[Split, dict[str, Any]]


def class_of(name: str) -> Any:
    """Look up a dataset's class.

    Raises:
        TlearnError: It is unknown, or not of images with one class each.
    """
    if name in WORKING:
        return getattr(datasets, name)
    if not inspect.isclass(getattr(datasets, name, None)):
        raise unknown("dataset of torchvision", name, WORKING)
    more = "; use ImageFolderDataModule" if "Folder" in name else ""
    raise TlearnError(
        f"torchvision's {name} is not among its datasets with one class an image that tlearn reads{more}; those: "
        f"{', '.join(WORKING)}"
    )


def parameters_of(kind: type) -> set[str]:
    """List what a constructor takes, also what it hands on as ``**kwargs``."""
    found = set[str]()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            own = inspect.signature(vars(base)["__init__"]).parameters
            found |= set(own)
            if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in own.values()):
                break
    return found


def splits_of(kind: Any) -> Splits:
    """Return, for each split there is, the argument that asks for it; where there is none, all images train.

    Raises:
        TlearnError: The class needs a package that is not installed.
    """
    parameters = parameters_of(kind)
    if "train" in parameters:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" not in parameters:
        return {"train": {}}
    values = _values_of_split(kind)
    found = {split: [name for name in names if name in values] for split, names in _NAMES.items()}
    return {split: {"split": names[0]} for split, names in found.items() if names}


def check_options(kind: Any, options: Mapping[str, Any], splits: Splits) -> None:
    """Refuse options that are not the dataset's, and say which it cannot do without.

    Raises:
        TlearnError: There are some.
    """
    parameters, taken = parameters_of(kind), set().union(*splits.values())
    allowed = [name for name in _OPTIONS if name in parameters and name not in taken]
    for name in options:
        if name not in allowed:
            raise unknown(f"option of torchvision's {kind.__name__}", name, allowed or ["none"])
    if "split" in allowed and "split" not in options:
        raise TlearnError(
            f"torchvision's {kind.__name__} is several datasets; set data.init_args.dataset_options.split to one of "
            f"{', '.join(_values_of_split(kind))}"
        )


def reason(fault: Exception) -> str:
    """Put what torchvision says into one line, without its advice to pass ``download=True``."""
    return re.sub(r"\.? You can (use|set) download=True.*", "", one_line(fault)).strip()[:200]


def _values_of_split(kind: Any) -> list[str]:
    """Ask for a split that there cannot be: the class names those that there are, before it looks at any file."""
    try:
        with tempfile.TemporaryDirectory() as nowhere:
            kind(root=nowhere, split="?")
    except ValueError as fault:
        return re.findall(r"'([^']+)'", str(fault).partition("Valid values")[2])
    except Exception as fault:  # a package that it needs is missing
        raise TlearnError(f"torchvision's {kind.__name__}: {reason(fault)}") from fault
    return []


# How torchvision's classes call what each item is, in turn: there is no rule.
_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("_samples", "samples")  # (picture, label)
_LABEL_ATTRIBUTES = ("classes", "categories", "all_categories")

Labels = Sequence[int | None]


def labels_of(items: Any, what: str) -> Labels:
    """Return the N labels, without decoding a picture where the dataset keeps them apart.

    Args:
        items: The dataset.
        what: Its name, for what is told.

    Raises:
        TlearnError: An item has no single whole number for a label, or cannot be read.
    """
    for found in _kept_apart(items):
        if _are_labels(found, len(items)):
            return [None if label is None else int(label) for label in found]
    log.info("reading all %d items of %s once: their labels are kept nowhere else", len(items), what)
    return [_label_of(items, row, what) for row in tracked(range(len(items)), "reading labels", len(items))]


def names_of(items: Any, labels: Labels) -> dict[int, str]:
    """Return the name of each label there is, in the order of the labels; those that the dataset has names for more."""
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
        picture.close()  # some are opened and not yet read
    except Exception as error:  # another library's code reads another's files
        raise TlearnError(f"item {row} of {what}: {reason_of(error)}; mend or replace it") from error
    if label is None or (np.ndim(label) == 0 and isinstance(label, (int, np.integer))):
        return None if label is None else int(label)
    raise TlearnError(f"item {row} of {what}: expected one class, a whole number, got {str(label)[:40]}")
