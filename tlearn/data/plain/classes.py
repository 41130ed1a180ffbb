"""What classes a user's own data module has: what it says, what its data set says, or what its labels show."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple, get_args

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import Subset

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.plain_values import texts, whole_number
from tlearn.base.types import Task

log = logging.getLogger(__name__)


class Classes(NamedTuple):
    """The classes of a data module.

    Attributes:
        task: What a label is.
        num_classes: K, or the columns of a regression.
        names: K names; numbers where nobody names them; none of a regression of one column.
    """

    task: Task
    num_classes: int
    names: list[str]


def classes_of(data: LightningDataModule) -> Classes:
    """Find the classes of a user's own data module.

    Its attributes ``task``, ``num_classes`` and ``class_names`` hold. Without them its training data set is asked as
    torchvision's are (``classes``, ``targets``). If that says nothing, the labels of one pass over the training loader
    are counted, which is logged.

    Raises:
        TlearnError: Numbers and names do not agree, or the labels are no class numbers.
    """
    task: Any = getattr(data, "task", "classification")
    if task not in get_args(Task):
        raise unknown(f"{type(data).__name__}.task", str(task), get_args(Task))
    names = getattr(data, "class_names", None)
    number = getattr(data, "num_classes", None)
    if names is None and number is None and task == "classification":
        names, number = _found(data)
    named = [] if names is None else texts("class_names", names)
    if number is None and not named and task == "multilabel":
        raise TlearnError(f"{type(data).__name__}: several labels an image need its attribute num_classes")
    count = whole_number(f"{type(data).__name__}.num_classes", number or len(named) or 1, 1)
    if named and len(named) != count:
        raise TlearnError(f"{type(data).__name__}: num_classes is {count}, class_names are {len(named)}")
    if task == "regression" and not named:
        named = [] if count == 1 else [f"value {n + 1}" for n in range(count)]
        return Classes(task, count, named)
    return Classes(task, count, named or [str(n) for n in range(count)])


def known_labels(dataset: Any) -> Tensor | None:
    """Return the class numbers of a data set (N,) that has them as torchvision's have; ``None`` for all others."""
    if isinstance(dataset, Subset):
        whole = known_labels(dataset.dataset)
        return None if whole is None else whole[torch.as_tensor(dataset.indices)]
    found = None if _changes_labels(dataset) else getattr(dataset, "targets", None)
    try:
        labels = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        return None
    is_whole = not labels.is_floating_point() and labels.dtype != torch.bool
    return labels.long() if is_whole and labels.ndim == 1 and len(labels) == len(dataset) else None


def _found(data: LightningDataModule) -> tuple[list[str] | None, int | None]:
    """Return the names of the training data set's classes, or their number."""
    with isolate_rng():
        data.prepare_data()
        data.setup("fit")
        loader: Any = data.train_dataloader()
        dataset = getattr(loader, "dataset", None)
        if names := _names(dataset):
            return names, None
        labels = known_labels(dataset)
        if labels is None:
            labels = _counted(type(data).__name__, loader)
    least, most = int(labels.min()), int(labels.max())
    if least > 0:
        log.warning("no training image has label 0, the least is %d: are they counted from 0?", least)
    return None, most + 1


def _names(dataset: Any) -> list[str] | None:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    names = None if _changes_labels(dataset) else getattr(dataset, "classes", None)
    is_named = isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names)
    return list(names) if is_named and names is not None else None


def _changes_labels(dataset: Any) -> bool:
    """Tell whether a data set, as torchvision's do, serves other labels than its ``targets`` and ``classes`` say."""
    return getattr(dataset, "target_transform", None) is not None


def _counted(name: str, loader: Any) -> Tensor:
    start_s, parts = time.perf_counter(), list[Tensor]()
    for given in loader:
        labels = given[1] if isinstance(given, (list, tuple)) and len(given) == 2 else None
        if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
            break
        parts.append(labels.flatten())
    else:
        if parts:
            labels = torch.cat(parts)
            log.info(
                "%d classes, counted in a pass of %.1f s over %d training images; num_classes of %s would save it",
                *(int(labels.max()) + 1, time.perf_counter() - start_s, len(labels), name),
            )
            return labels
    raise TlearnError(
        f"{name} does not say how many classes there are, and its labels do not show it: expected batches (images, "
        f"labels) with whole class numbers; give {name} an attribute num_classes"
    )
