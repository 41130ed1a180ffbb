from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tlearn.data.images.augment import Augment, BatchAugment
from tlearn.data.images.keyed_random import uniform


def some_images(n_images: int = 64, size_px: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n_images, 3, size_px, size_px), dtype=torch.uint8, generator=generator)


def augmented(augment: Augment, indices: Tensor, epoch: int = 0, seed: int = 3) -> tuple[Tensor, Tensor]:
    return BatchAugment(augment, 4, seed)(some_images()[indices], indices % 4, indices, epoch)


ALL = torch.arange(64)


def reference_cut(image: Tensor, top: int, left: int, padding: int, mirror: bool) -> Tensor:
    _, height, width = image.shape
    padded = torch.zeros(3, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    padded[:, padding : padding + height, padding : padding + width] = image
    cut = padded[:, top : top + height, left : left + width]
    return cut.flip(2) if mirror else cut


@pytest.mark.parametrize("flip", [True, False])
def test_flip_and_crop_equal_a_plain_loop_over_the_images(flip: bool) -> None:
    images, _ = augmented(Augment(flip=flip, crop_padding_px=2), ALL, epoch=1)
    mirrors = [flip and draw < 0.5 for draw in uniform(3, 1, ALL, 0).tolist()]
    tops, lefts = ((uniform(3, 1, ALL, stream) * 5).int().tolist() for stream in (1, 2))
    rows = zip(some_images(), tops, lefts, mirrors, strict=True)
    expected = torch.stack([reference_cut(image, top, left, 2, mirror) for image, top, left, mirror in rows])
    assert torch.equal(images, expected)
    assert set(tops) == set(lefts) == {0, 1, 2, 3, 4}


def test_randaugment_changes_equal_images_in_different_ways() -> None:
    same = some_images()[:1].expand(64, -1, -1, -1)
    images, _ = BatchAugment(Augment(randaugment=True), 4, seed=3)(same, ALL % 4, ALL, 0)
    assert len(images.unique(dim=0)) > 32


def test_flip_alone_mirrors_or_leaves() -> None:
    before = some_images()
    after, _ = augmented(Augment(flip=True), ALL)
    mirrored = (after == before.flip(3)).flatten(1).all(1)
    left = (after == before).flatten(1).all(1)
    assert torch.equal(mirrored, ~left)
    assert 20 < mirrored.sum() < 44


def test_nothing_on_changes_nothing() -> None:
    images, targets = augmented(Augment(), ALL)
    assert torch.equal(images, some_images())
    assert torch.equal(targets, ALL % 4)


@pytest.mark.parametrize("augment", [Augment(flip=True), Augment(crop_padding_px=2), Augment(randaugment=True)])
def test_an_image_depends_on_seed_epoch_and_index_but_not_on_its_batch(augment: Augment) -> None:
    together, _ = augmented(augment, ALL)
    torch.rand(7)  # the global state moves on, without effect
    shuffled = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    in_parts = torch.cat([augmented(augment, part)[0] for part in shuffled.split(10)])
    assert torch.equal(in_parts, together[shuffled])
    assert not torch.equal(augmented(augment, ALL, epoch=1)[0], together)
    assert not torch.equal(augmented(augment, ALL, seed=4)[0], together)


@pytest.mark.parametrize("augment", [Augment(randaugment=True), Augment(mixup_alpha=1.0)])
def test_the_global_random_state_is_left_alone(augment: Augment) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    augmented(augment, ALL)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "augment", [Augment(mixup_alpha=0.2), Augment(cutmix_alpha=1.0), Augment(mixup_alpha=1.0, cutmix_alpha=1.0)]
)
def test_mixing_gives_class_shares(augment: Augment) -> None:
    images, targets = augmented(augment, ALL)
    assert images.dtype == torch.uint8
    assert images.shape == (64, 3, 8, 8)
    assert targets.dtype == torch.float32
    assert targets.shape == (64, 4)
    assert torch.allclose(targets.sum(1), torch.ones(64))
    assert torch.equal(images, augmented(augment, ALL)[0])
    assert not torch.equal(images, augmented(augment, ALL, epoch=1)[0])


def test_mixup_blends_pixels_in_the_same_shares_as_targets_to_half_a_level() -> None:
    images, targets = augmented(Augment(mixup_alpha=1.0), ALL)
    share = targets[0, 0]  # image 0 is of class 0, its partner 63 of class 3
    assert 0.01 < share < 0.99
    before = some_images().float()
    assert (images[0] - (share * before[0] + (1 - share) * before[63])).abs().max() <= 0.501


def test_both_mixers_on_takes_each_about_as_often() -> None:
    both = Augment(mixup_alpha=1.0, cutmix_alpha=1.0)

    def is_cutmix(epoch: int) -> bool:
        after, before = augmented(both, ALL, epoch)[0], some_images()
        return bool(((after == before) | (after == before.roll(1, 0))).all())

    assert 30 < sum(is_cutmix(epoch) for epoch in range(100)) < 70


@pytest.mark.parametrize(
    "augment",
    [
        Augment(flip=True, crop_padding_px=2),
        Augment(resized_crop_area=0.3),
        Augment(mixup_alpha=0.4),
        Augment(cutmix_alpha=1.0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_every_channel_is_changed_as_in_a_picture_of_three(augment: Augment, channels: int) -> None:
    three = some_images()
    given = torch.cat([three, three], dim=1)[:, :channels]
    wanted, shares = augmented(augment, ALL)
    images, targets = BatchAugment(augment, 4, seed=3)(given, ALL % 4, ALL, 0)
    assert torch.equal(images, torch.cat([wanted, wanted], dim=1)[:, :channels])
    assert torch.equal(targets, shares)
