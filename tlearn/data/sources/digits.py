"""Handwritten digits that need no network: scikit-learn's 1,797 real ones of 8 x 8 pixels (Alpaydin, Kaynak 1998)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jsonargparse.typing import PositiveInt
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from tlearn.base.plain_values import plain_values, texts
from tlearn.base.types import Task
from tlearn.data.images.split import class_numbers, renumbered, stratified_split
from tlearn.data.sources.bases import InMemoryDataModule

_NAMES = tuple("0123456789")
_TEST_FRACTION, _TEST_SEED = 0.2, 0  # fixed, so that test results stay comparable
_BRIGHTEST = 16  # pixel values run from 0 to 16


class DigitsDataModule(InMemoryDataModule):
    """Handwritten digits as classes or as values; a fixed fifth of them, 359, is the test set."""

    def __init__(
        self,
        classes: list[int] | None = None,
        size_px: PositiveInt = 32,
        task: Task = "classification",
        **options: Any,
    ) -> None:
        """Take the options; no data are read.

        Args:
            classes: Digits to use, numbered in the order given; all ten by default.
            size_px: Height and width after bilinear enlargement; 32 is CIFAR-10's size.
            task: ``classification``, or ``regression`` to predict the digit's value.
            **options: Those of `ImageDataModule`.

        Raises:
            TlearnError: A digit is unknown, fewer than 2 are given, or an option does not fit regression.
        """
        self._numbers = class_numbers(None if classes is None else texts("classes", classes), _NAMES)
        names = [] if task == "regression" else [_NAMES[number] for number in self._numbers]
        super().__init__(class_names=names, task=task, **options)
        (self.size_px,) = plain_values(size_px=size_px)

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read a split of scikit-learn's digits.

        Returns:
            Images, uint8 (N, 3, H, W) with three equal channels, and targets: class numbers, int64 (N,), -1 for a digit
            that is not used; for regression values, float32 (N, 1), NaN for such a digit.
        """
        table = _read_table()
        train, test = stratified_split(table[:, -1], _TEST_FRACTION, _TEST_SEED, _NAMES)
        rows = torch.from_numpy(table[train if split == "train" else test])
        images, digits = rows[:, :-1].view(-1, 8, 8), rows[:, -1]
        targets = renumbered(digits, self._numbers)
        if self.task == "regression":
            targets = digits.float().where(targets >= 0, torch.nan)[:, None]
        return self._pixels(images), targets

    def _pixels(self, images: Tensor) -> Tensor:
        """Turn float (N, 8, 8) from 0 to 16 into uint8 (N, 3, H, W)."""
        scaled = images[:, None].float() * (255 / _BRIGHTEST)
        enlarged = interpolate(scaled, size=(self.size_px, self.size_px), mode="bilinear", align_corners=False)
        return enlarged.round().to(torch.uint8).repeat(1, 3, 1, 1)


def _read_table() -> NDArray[Any]:
    """Read (N, 65) integers, 64 pixels and the digit, from scikit-learn's file.

    scikit-learn's ``load_digits`` is not used, because importing it takes 0.4 s.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    return np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",", dtype=np.int64)
