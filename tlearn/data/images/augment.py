"""Random changes to training images, on whole uint8 batches. B images, C channels, H and W pixels, K classes.

Every draw is a function of (seed, epoch, index). So an image looks the same in an epoch whatever its batch mates, the
number of workers or the global random state. Only mixing needs partners and is drawn for a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, OpenUnitInterval
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from tlearn.data.files.reading import resized_crop_box
from tlearn.data.images.keyed_random import key, uniform

# Each draw of an image has a random stream of its own.
_FLIP, _CROP_Y, _CROP_X, _RANDAUGMENT, _MIX, *_RESIZED_CROP = range(9)


@dataclass(frozen=True)
class Augment:
    """Random changes to training images; all off by default, as in the tutorial.

    Attributes:
        flip: Mirror left and right with probability 0.5.
        resized_crop_area: Cut a box of at least this share of the picture, 3:4 to 4:3, and resize it
            (RandomResizedCrop; Szegedy et al. 2015, arXiv:1409.4842): 0.08 is ImageNet's recipe, 0.35 a milder one.
            Files are cut at their full resolution. Off by default.
        crop_padding_px: Add so many black pixels on each side, then cut the old size at random; 4 is usual at 32 px.
        randaugment: RandAugment with torchvision's defaults (Cubuk et al. 2020, arXiv:1909.13719); per image, so slow;
            it changes colours, so it needs three channels.
        mixup_alpha: Blend pairs of images, share from Beta(alpha, alpha) (Zhang et al. 2018, arXiv:1710.09412);
            0 is off.
        cutmix_alpha: Paste a box of another image, area from Beta(alpha, alpha) (Yun et al. 2019, arXiv:1905.04899);
            0 is off. With both on, a fair coin decides for each batch.
    """

    flip: bool = False
    resized_crop_area: OpenUnitInterval | None = None
    crop_padding_px: NonNegativeInt = 0
    randaugment: bool = False
    mixup_alpha: NonNegativeFloat = 0.0
    cutmix_alpha: NonNegativeFloat = 0.0


NO_AUGMENT = Augment()


class BatchAugment:
    """Applies an `Augment` to batches."""

    def __init__(self, augment: Augment, num_classes: int, seed: int) -> None:
        """Make the transforms that are switched on.

        Args:
            augment: The changes to make.
            num_classes: K, for the shares of mixed targets.
            seed: The run's seed.
        """
        self.augment, self.seed = augment, seed
        self._randaugment = v2.RandAugment()
        self._mixers: list[v2.MixUp | v2.CutMix] = []
        if augment.mixup_alpha:
            self._mixers.append(v2.MixUp(alpha=augment.mixup_alpha, num_classes=num_classes))
        if augment.cutmix_alpha:
            self._mixers.append(v2.CutMix(alpha=augment.cutmix_alpha, num_classes=num_classes))

    def crop_draws(self, indices: Tensor, epoch: int) -> Tensor | None:
        """Return the draws that `resized_crop_box` takes for each image, (B, 4); ``None`` if nothing is cut."""
        if self.augment.resized_crop_area is None:
            return None
        draws = [uniform(self.seed, epoch, indices, stream) for stream in _RESIZED_CROP]
        least = float(self.augment.resized_crop_area)
        return torch.stack([least + (1 - least) * draws[0], *draws[1:]], dim=1)

    def __call__(
        self, images: Tensor, targets: Tensor, indices: Tensor, epoch: int, *, is_cut: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            images: uint8 (B, C, H, W).
            targets: int64 (B,) class numbers, or float32 (B, 1) values, which cannot be mixed.
            indices: int64 (B,), positions in the source, on the CPU: reading them from a GPU would wait for it.
            epoch: Counted from 0.
            is_cut: The boxes of `crop_draws` have been cut already, from larger pictures.

        Returns:
            Images of the same shape and type; the same targets, or float32 (B, K) if images were mixed.
        """
        draws = None if is_cut else self.crop_draws(indices, epoch)
        if draws is not None:
            images = _cut_and_resize(images, draws)
        if self.augment.flip or self.augment.crop_padding_px:
            images = self._flip_and_crop(images, indices, epoch)
        if self.augment.randaugment:
            images = self._randaugmented(images, indices, epoch)
        if self._mixers:
            images, targets = self._mixed(images, targets, int(indices[0]), epoch)
        return images, targets

    def _flip_and_crop(self, images: Tensor, indices: Tensor, epoch: int) -> Tensor:
        padding = self.augment.crop_padding_px
        top, left = (
            (uniform(self.seed, epoch, indices, stream) * (2 * padding + 1)).long() for stream in (_CROP_Y, _CROP_X)
        )
        flip = (uniform(self.seed, epoch, indices, _FLIP) < 0.5) & self.augment.flip
        flip, top, left = (draw.to(images.device, non_blocking=True) for draw in (flip, top, left))
        return flip_and_crop(images, flip, top, left, padding)

    def _randaugmented(self, images: Tensor, indices: Tensor, epoch: int) -> Tensor:
        changed = []
        for image, index in zip(images, indices.tolist(), strict=True):
            with _seeded(key(self.seed, epoch, _RANDAUGMENT, index)):
                changed.append(self._randaugment(image))
        return torch.stack(changed)

    def _mixed(self, images: Tensor, targets: Tensor, first: int, epoch: int) -> tuple[Tensor, Tensor]:
        draw = key(self.seed, epoch, _MIX, first)
        mixer = self._mixers[draw % len(self._mixers)]
        with _seeded(draw):
            # v2.MixUp multiplies in place, and uint8 cannot hold the products.
            mixed, shares = mixer(images.float(), targets)
        return mixed.round().to(torch.uint8), shares


def _cut_and_resize(images: Tensor, draws: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    boxes = [resized_crop_box(draw, height, width) for draw in draws]
    cut = [F.resized_crop(image, *box, [height, width]) for image, box in zip(images, boxes, strict=True)]
    return torch.stack(cut)


def flip_and_crop(images: Tensor, flip: Tensor, top: Tensor, left: Tensor, padding_px: int) -> Tensor:
    """Mirror some images and cut each at its own place from its zero-padded self, in one gather.

    Args:
        images: (B, C, H, W).
        flip: bool (B,), which to mirror.
        top: int64 (B,), first row to keep, from 0 to 2 * padding_px.
        left: int64 (B,), first column to keep before the cut is mirrored, in the same range.
        padding_px: Black pixels added on each side.
    """
    batch, channels, height, width = images.shape
    padded = pad(images, [padding_px] * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    columns = left[:, None] + torch.where(flip[:, None], width - 1 - columns, columns)
    pixels = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    pixels = pixels.view(batch, 1, -1).expand(batch, channels, -1)
    return padded.flatten(2).gather(2, pixels).view(images.shape)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator, which torchvision draws from, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed the accelerator's generators, which are not forked here.
        torch.default_generator.manual_seed(seed)
        yield
