from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from tlearn.base.errors import TlearnError
from tlearn.data.sources.digits import DigitsDataModule


def test_all_digits_a_fixed_fifth_is_the_test_set() -> None:
    images, targets = DigitsDataModule().load_split("train")
    test_images, test_targets = DigitsDataModule(split_seed=5).load_split("test")
    assert torch.equal(test_images, DigitsDataModule().load_split("test")[0])
    assert images.shape == (1438, 3, 32, 32)
    assert test_images.shape == (359, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert torch.bincount(test_targets).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    everything = torch.bincount(torch.from_numpy(load_digits().target))
    assert torch.equal(torch.bincount(targets) + torch.bincount(test_targets), everything)


def test_pixels_span_the_whole_range_and_keep_the_picture() -> None:
    images, _ = DigitsDataModule(size_px=8).load_split("train")
    original = torch.from_numpy(load_digits().images).float() * 255 / 16
    assert images.unique()[[0, -1]].tolist() == [0, 255]
    assert torch.equal(images[:, 0], images[:, 2])
    assert (original - images[0, 0]).abs().amax((1, 2)).min() <= 0.5
    assert DigitsDataModule(size_px=20).load_split("test")[0].shape == (359, 3, 20, 20)


def test_classes_are_renumbered_in_the_order_given() -> None:
    data = DigitsDataModule(classes=[7, 5])
    assert (data.class_names, data.num_classes) == (["7", "5"], 2)
    data.setup("fit")
    values = DigitsDataModule().load_split("train")[1]
    train = data.dataset("train")
    assert set(train.targets[train.indices].tolist()) == {0, 1}
    assert torch.equal(values[train.indices], torch.tensor([7, 5])[train.targets[train.indices]])
    count = int(((values == 7) | (values == 5)).sum())
    assert len(train) + len(data.dataset("val")) == count


def test_regression_predicts_the_digits_value() -> None:
    data = DigitsDataModule(classes=[2, 9], task="regression")
    assert (data.class_names, data.num_classes, data.task) == ([], 1, "regression")
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch.targets.dtype == torch.float32
    assert batch.targets.shape == (64, 1)
    assert set(batch.targets.flatten().tolist()) == {2.0, 9.0}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([3, 12], "^unknown class '12'.* Choices: 0, 1, 2"),
        ([3], r"^expected 2 or more different classes, got \['3'\]; change data.init_args.classes"),
        ([3, 3], r"^expected 2 or more different classes, got \['3', '3'\]"),
    ],
)
def test_wrong_classes_are_refused_before_anything_is_read(classes: list[int], message: str) -> None:
    with pytest.raises(TlearnError, match=message):
        DigitsDataModule(classes=classes)


def test_the_digits_are_scikit_learns() -> None:
    data = DigitsDataModule(size_px=8)
    parts = [data.load_split(split) for split in ("train", "test")]
    pixels = torch.cat([images[:, 0] for images, _ in parts]).flatten(1).sum(dim=1).sort().values
    expected = (torch.from_numpy(load_digits().images) * (255 / 16)).round().flatten(1).sum(dim=1).sort().values
    assert torch.allclose(pixels.double(), expected, atol=1.0)
