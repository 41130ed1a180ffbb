"""Which of torchvision's datasets work, and how each of their classes asks for its splits; no file is opened."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from torchvision import datasets

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.data.datamodule import Split

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
