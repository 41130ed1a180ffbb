from __future__ import annotations

import numpy as np
import pytest

from tlearn.base.errors import TlearnError
from tlearn.data.images.split import stratified_split, take_per_class

NAMES = ["cat", "dog", "eel"]


def test_split_is_stratified_sorted_disjoint_and_complete() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 30, 20]))
    train, val = stratified_split(labels, 0.2, 0, NAMES)
    assert np.bincount(labels[val]).tolist() == [10, 6, 4]
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(100))
    assert np.array_equal(train, np.sort(train))
    assert np.array_equal(val, np.sort(val))


def test_split_depends_on_its_seed_alone() -> None:
    labels = np.repeat([0, 1, 2], 20)
    np.random.seed(1)  # the global state must not matter
    first = stratified_split(labels, 0.2, 0, NAMES)[1]
    np.random.seed(2)
    assert np.array_equal(stratified_split(labels, 0.2, 0, NAMES)[1], first)
    assert not np.array_equal(stratified_split(labels, 0.2, 1, NAMES)[1], first)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("counts", "fraction"), [([2, 2, 2], 0.1), ([97, 2, 2], 0.1), ([96, 2, 2], 0.9)])
def test_every_class_is_on_both_sides_however_rare(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.repeat([0, 1, 2], counts)
    sides = stratified_split(labels, fraction, seed, NAMES)
    for side in sides:
        assert set(labels[side]) == {0, 1, 2}
        assert np.array_equal(side, np.sort(side))
    assert np.array_equal(np.sort(np.concatenate(sides)), np.arange(len(labels)))


def test_values_are_split_plainly() -> None:
    train, val = stratified_split(np.linspace(0, 1, 10), 0.2, 0, None)
    assert (len(train), len(val)) == (8, 2)
    assert np.array_equal(train, np.sort(train))


def test_classes_of_one_are_named_all_at_once() -> None:
    expected = (
        r"^2 classes with fewer than 2 images, one to train on and .*: dog 1, eel 1; add images, leave such classes"
    )
    with pytest.raises(TlearnError, match=expected):
        stratified_split(np.array([0, 0, 1, 2]), 0.2, 0, NAMES)


def test_take_per_class_is_balanced_and_nested() -> None:
    labels = np.arange(300) % 3
    indices = np.arange(30, 300)
    few, more = (take_per_class(labels, indices, count, 0, NAMES) for count in (10, 20))
    assert np.bincount(labels[few]).tolist() == [10, 10, 10]
    assert np.bincount(labels[more]).tolist() == [20, 20, 20]
    assert set(few) < set(more) < set(indices)
    assert not np.array_equal(few, take_per_class(labels, indices, 10, 1, NAMES))


def test_take_per_class_names_all_classes_that_have_too_few() -> None:
    message = r"^2 classes with fewer training images than train_per_class 5: dog 4, eel 3; lower data.init_args.train"
    with pytest.raises(TlearnError, match=message):
        take_per_class(np.array([0] * 5 + [1] * 4 + [2] * 3), np.arange(12), 5, 0, NAMES)
