"""Folds: which images validate in which run. Letters: N images, G groups, K classes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits
from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import Split
from tlearn.data.images.folds import fold_numbers
from tlearn.data.images.image_set import ImageSet
from tlearn.data.sources.bases import InMemoryDataModule


class Grouped(InMemoryDataModule):
    """60 images of three classes in twelve groups of five; pixels are the index."""

    groups: Tensor | None = None
    targets = torch.arange(60) % 3

    def __init__(self, **options: Any) -> None:
        super().__init__(class_names=["ant", "bee", "cat"], **options)

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        return torch.arange(60, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 8, 8), self.targets

    def open_split(self, split: Split) -> ImageSet | None:
        images = super().open_split(split)
        if images is not None:
            images.groups = self.groups
        return images


class InGroups(Grouped):
    groups = torch.arange(60) // 5


class OneSite(Grouped):
    """All cats are of one group."""

    groups = torch.where(torch.arange(60) % 3 == 2, 99, torch.arange(60) // 5)


class CatsAtTwoSites(Grouped):
    """Three groups, of which each two share a class that the third lacks."""

    groups = torch.tensor([0] * 20 + [1] * 20 + [2] * 20)
    targets = torch.tensor([0] * 5 + [2] * 15 + [0] * 14 + [1] * 6 + [1] * 15 + [2] * 5)


class FewCats(Grouped):
    targets = torch.where(torch.arange(60) < 3, 2, torch.arange(60) % 2)


def validated(kind: type[Grouped], **options: Any) -> list[list[int]]:
    found = []
    for fold in range(1, options["folds"] + 1):
        data = kind(fold=fold, **options)
        data.setup("fit")
        train, val = data.dataset("train").indices.tolist(), data.dataset("val").indices.tolist()
        assert sorted(train + val) == list(range(60))
        found.append(val)
    return found


def unevenness(labels: Tensor, numbers: Tensor, folds: int) -> float:
    """Return the mean over classes of the standard deviation of their shares over folds."""
    counts = np.zeros((folds, int(labels.max()) + 1))
    np.add.at(counts, (numbers.numpy(), labels.numpy()), 1)
    return float((counts / np.maximum(counts.sum(axis=0), 1)).std(axis=0).mean())


def some_groups(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(6, 60)), int(rng.integers(2, 12))
    groups = np.repeat(np.arange(count), rng.integers(1, 40, count))
    shares = rng.dirichlet(np.full(classes, 0.5), count)
    labels = np.array([rng.choice(classes, p=shares[group]) for group in groups])
    return torch.from_numpy(labels), torch.from_numpy(groups), torch.from_numpy(rng.integers(0, 2**62, len(groups)))


def test_every_image_validates_once_in_even_parts() -> None:
    labels = torch.tensor([0] * 23 + [1] * 11 + [2] * 4)
    numbers = fold_numbers(labels, None, 5, 0)

    assert sorted(numbers.bincount().tolist()) == [7, 7, 8, 8, 8]
    assert sorted(numbers[labels == 0].bincount().tolist()) == [4, 4, 5, 5, 5]
    assert sorted(numbers[labels == 1].bincount().tolist()) == [2, 2, 2, 2, 3]
    assert not torch.equal(numbers, fold_numbers(labels, None, 5, 1))


@pytest.mark.parametrize("in_groups", [True, False])
def test_the_order_of_the_images_changes_no_fold(in_groups: bool) -> None:
    labels, groups, keys = some_groups(0)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    numbers = fold_numbers(labels, groups if in_groups else None, 4, 0, keys)
    shuffled = fold_numbers(labels[order], groups[order] + 7 if in_groups else None, 4, 0, keys[order])
    assert torch.equal(numbers[order], shuffled)


def test_images_that_come_later_move_few_others() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, keys = torch.arange(400) % 4, torch.randint(2**62, (400,), generator=generator)
    before = fold_numbers(labels[:390], None, 5, 0, keys[:390])
    assert float((fold_numbers(labels, None, 5, 0, keys)[:390] != before).float().mean()) < 0.05


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_whole_groups_are_as_balanced_as_those_of_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(30):
        labels, groups, keys = some_groups(seed)
        numbers = fold_numbers(labels, groups, 5, 0, keys)
        assert all(len(numbers[groups == group].unique()) == 1 for group in groups.unique())
        assert sorted(numbers.unique().tolist()) == [0, 1, 2, 3, 4]
        other = torch.zeros_like(labels)
        splits = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        for number, (_, rows) in enumerate(splits):
            other[rows] = number
        ours.append(unevenness(labels, numbers, 5))
        theirs.append(unevenness(labels, other, 5))
    assert np.mean(ours) <= 1.02 * np.mean(theirs)


def test_groups_of_a_regression_fill_the_folds_evenly() -> None:
    groups = torch.repeat_interleave(torch.arange(10), torch.tensor([50, 40, 30, 20, 10, 10, 10, 10, 10, 10]))
    numbers = fold_numbers(torch.zeros(len(groups), dtype=torch.int64), groups, 4, 0)
    assert sorted(numbers.bincount().tolist()) == [50, 50, 50, 50]


def test_the_folds_of_a_data_module_share_its_images(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folds = validated(Grouped, folds=4)
    assert sorted(row for fold in folds for row in fold) == list(range(60))
    assert [len(fold) for fold in folds] == [15, 15, 15, 15]
    assert "val: fold 2 of 4, 15 of the 60 training images" in caplog.messages


def test_no_group_is_divided(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folds = validated(InGroups, folds=4)
    assert sorted(row for fold in folds for row in fold) == list(range(60))
    assert [len({row // 5 for row in fold}) for fold in folds] == [3, 3, 3, 3]
    assert "val: fold 1 of 4, 15 of the 60 training images, 3 of 12 groups" in caplog.messages


def test_a_part_of_each_class_trains_beside_a_whole_fold() -> None:
    data = Grouped(folds=4, fold=2, train_per_class=5)
    data.setup("fit")
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (15, 15)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 1}, "data.init_args.folds: expected a whole number from 2 on, got 1"),
        ({"folds": 3, "fold": 4}, "data.init_args.fold: expected from 1 to 3 (data.init_args.folds), got 4"),
        ({"folds": 3, "fold": 0}, "data.init_args.fold: expected a whole number from 1 on, got 0"),
        ({"fold": 2}, "data.init_args.fold 2 is one of data.init_args.folds, which is not set; set it"),
        (
            {"folds": 3, "val_fraction": 0.2},
            "data.init_args.folds 3 validates on one of 3 folds, data.init_args.val_fraction 0.2 on another share; "
            "drop one of the two",
        ),
    ],
)
def test_options_that_make_no_fold_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(TlearnError, match=f"^{re.escape(told)}$"):
        Grouped(**options)


def test_fewer_groups_than_folds_are_refused() -> None:
    told = "12 groups cannot fill 13 folds, each needs one at the least; ask for fewer folds"
    with pytest.raises(TlearnError, match=f"^{told}$"):
        InGroups(folds=13).setup("fit")


def test_a_class_of_one_group_is_refused() -> None:
    told = "cat has one group: the fold that validates it would train without it; add groups of cat"
    with pytest.raises(TlearnError, match=f"^{told}"):
        OneSite(folds=3).setup("fit")


@pytest.mark.parametrize("fold", [1, 2])
def test_a_class_whose_groups_are_all_in_one_fold_is_refused(fold: int) -> None:
    told = r"all groups of (ant|bee|cat) fall into fold [12], whose run would train without it; ask for another number"
    with pytest.raises(TlearnError, match=f"^{told}"):
        CatsAtTwoSites(folds=2, fold=fold).setup("fit")
    CatsAtTwoSites(folds=3, fold=fold).setup("fit")


def test_a_class_of_fewer_images_than_folds_is_told(caplog: pytest.LogCaptureFixture) -> None:
    FewCats(folds=5).setup("fit")
    told = "1 class with fewer images than 5 folds: cat 3; some folds do not validate them"
    assert told in caplog.messages


def test_folds_take_the_place_of_a_validation_set(tlearn: Tlearn, tmp_path: Path) -> None:
    write_splits(tmp_path / "data", 6, 2)
    small = ("--model.weights", "null", "--model.image_size", "32", "--trainer.max_epochs", "1")
    answer = tlearn("fit", str(tmp_path / "data"), "--data.folds", "3", "--data.fold", "2", *small)
    assert answer.code == 0, answer.err
    assert "data.init_args.folds: the validation images are not used, those that train are divided" in answer.err
    record = json.loads(next(Path("runs").glob("data/version_*/split.json")).read_text())
    assert (record["folds"], record["fold"]) == (3, 2)
    assert all(name.startswith("train") for name in record["val_files"] + record["train_files"])
