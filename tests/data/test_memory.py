from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from tlearn.base.errors import TlearnError
from tlearn.data.images.augment import Augment, BatchAugment
from tlearn.data.images.image_set import BatchKey
from tlearn.data.images.in_memory import InMemoryImages, fingerprint
from tlearn.data.images.sampling import EpochBatchSampler


def images_where_pixel_is_index(n_images: int) -> torch.Tensor:
    return torch.arange(n_images, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous()


def sizes(sampler: EpochBatchSampler) -> list[int]:
    return [len(batch.positions) for batch in sampler]


def test_a_batch_is_gathered_from_the_source() -> None:
    source = images_where_pixel_is_index(20)
    dataset = InMemoryImages(source, torch.arange(20) * 10, torch.tensor([3, 5, 7, 9]))
    batch = dataset[BatchKey(0, torch.tensor([2, 0]))]
    assert batch.images[:, 0, 0, 0].tolist() == [7, 3]
    assert batch.targets.tolist() == [70, 30]
    assert batch.indices.tolist() == [7, 3]
    assert len(dataset) == 4
    assert dataset.images is source


def test_another_samplers_number_is_refused() -> None:
    dataset = InMemoryImages(images_where_pixel_is_index(4), torch.arange(4), torch.arange(4))
    with pytest.raises(TlearnError, match=r"overfit_batches puts one in\); use trainer.limit_train_batches"):
        dataset[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("n_images", "shuffle", "drop_last", "expected"),
    [
        (9, True, False, [4, 5]),
        (9, False, False, [4, 4, 1]),
        (9, True, True, [4, 4]),
        (10, True, False, [4, 4, 2]),
        (8, True, False, [4, 4]),
        (3, True, False, [3]),
        (1, True, False, [1]),
    ],
)
def test_batch_sizes(n_images: int, shuffle: bool, drop_last: bool, expected: list[int]) -> None:
    sampler = EpochBatchSampler(n_images, 4, shuffle, drop_last, seed=0)
    assert sizes(sampler) == expected
    assert len(sampler) == len(expected)
    seen = torch.cat([batch.positions for batch in sampler])
    assert len(seen.unique()) == sum(expected)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochBatchSampler(50, 16, True, False, seed)
        sampler.set_epoch(epoch)
        torch.rand(epoch + 1)  # the global state moves on, without effect
        batches = list(sampler)
        assert {batch.epoch for batch in batches} == {epoch}
        return [int(position) for batch in batches for position in batch.positions]

    assert order(0, 1) == order(0, 1)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert sorted(order(0, 0)) == list(range(50))


def test_no_batch_at_all_is_an_error() -> None:
    message = (
        "^9 training images, batch_size 16, drop_last: 0 batches; lower data.init_args.batch_size or unset drop_last$"
    )
    with pytest.raises(TlearnError, match=message):
        EpochBatchSampler(9, 16, True, True, seed=0)


def served(num_workers: int, epoch: int) -> dict[int, torch.Tensor]:
    source = torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augment = BatchAugment(Augment(flip=True, crop_padding_px=2, randaugment=True), 2, seed=5)
    dataset = InMemoryImages(source, torch.zeros(30, dtype=torch.int64), torch.arange(30), augment)
    sampler = EpochBatchSampler(30, 8, True, False, seed=5)
    sampler.set_epoch(epoch)
    loader = DataLoader(dataset, batch_size=None, sampler=sampler, num_workers=num_workers)
    return {int(index): image for batch in loader for image, index in zip(batch.images, batch.indices, strict=True)}


def test_workers_serve_the_same_bits_and_epochs_differ() -> None:
    alone, helped, next_epoch = served(0, 0), served(2, 0), served(0, 1)
    assert list(alone) == list(helped)
    assert all(torch.equal(alone[index], helped[index]) for index in alone)
    assert sum(torch.equal(alone[index], next_epoch[index]) for index in alone) < 10


def test_fingerprint_sees_one_pixel_one_target_and_the_shape() -> None:
    images, targets = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
    pixel = images.clone()
    pixel[1, 2, 3, 3] = 1
    prints = [fingerprint(*pair) for pair in [(images, targets), (pixel, targets), (images, targets + 1)]]
    prints.append(fingerprint(images.view(2, 3, 2, 8), targets))
    assert len(set(prints)) == 4
    assert prints[0] == fingerprint(images.clone(), targets.clone())
    assert len(prints[0]) == 32
