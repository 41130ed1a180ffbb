"""The bases of data modules: images in memory, and pictures of all sizes that are decoded batch by batch.

Letters: N images, C channels, H and W pixels, S the side of a square, K labels or columns.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.machine import cores_allowed
from tlearn.base.plain_values import plain_values
from tlearn.base.types import Task
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.decoding.reading_options import MAX_MEGAPIXELS, Intensity, Page, Range, Reading, reading_in
from tlearn.data.files.reading import CROP_PCT, DEFAULT_SIZE_PX, Framing
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.in_memory import InMemoryImages

log = logging.getLogger(__name__)

_MOST_WORKERS = 8


class InMemoryDataModule(ImageDataModule):
    """Images in memory: small sets, whose pictures are all of one size."""

    @abstractmethod
    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read the training or the test source, and nothing of the other.

        Returns:
            Images, uint8 (N, C, H, W), where C is ``model.in_channels``, and targets: int64 (N,), float32 (N, K) of 0,
            1 and NaN (unknown) for several labels, or float32 (N, K) of numbers for regression. An image without a
            target is left out but keeps its place: class -1, a number that is NaN, or labels that are all NaN.
        """

    def open_split(self, split: Split) -> ImageSet | None:
        """Load a split; validation is split off."""
        if split == "val":
            return None
        images, targets = self.load_split(split)
        if images.dtype != torch.uint8 or images.ndim != 4:
            told = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
            raise TlearnError(f"{type(self).__name__}.load_split: expected images uint8 (N, C, H, W), got {told}")
        return InMemoryImages(images, targets, _usable(targets, self.task))

    def setup(self, stage: str) -> None:
        """Read and split what a stage needs."""
        if stage != "test" and self.num_workers > cores_allowed():
            log.warning(
                "num_workers %d on %d cores: the images are in memory, 0 is fastest",
                *(self.num_workers, cores_allowed()),
            )
        super().setup(stage)


class PictureDataModule(ImageDataModule, ABC):
    """Pictures that are decoded batch by batch and brought to squares of one size."""

    def __init__(
        self,
        *,
        size_px: PositiveInt | None = None,
        crop_mode: Literal["center", "letterbox"] = "center",
        crop_pct: float = CROP_PCT,
        intensity: Intensity = "auto",
        channels: list[int | str] | None = None,
        num_channels: PositiveInt | None = None,
        page: Page = "first",
        max_megapixels: float = MAX_MEGAPIXELS,
        stored_reading: dict[str, Any] | None = None,
        num_workers: NonNegativeInt | None = None,
        **options: Any,
    ) -> None:
        """Take the options; no picture is read.

        Args:
            size_px: Side of the squares. On the command line it follows ``model.image_size``; 224 where neither is set.
            crop_mode: ``center`` cuts the centre out of each picture; ``letterbox`` shows the whole picture, with bars.
            crop_pct: Side of the centre, as a share of the short side; 0.875 is 224 of 256 px, as in ImageNet's tests.
            intensity: What becomes black and white in files of more than 8 bits. ``auto`` learns one range for all
                pictures from the training pictures: brightness may be the signal. ``type`` is all that the file's type
                can hold. ``percentile`` gives each picture its own range, from the 0.1 to the 99.9 percentile. Two
                numbers are a range for all pictures, those of 8 bits too.
            channels: Bands by number, from 1, or by name, in the order in which the network gets them. Files of more
                than three bands need it, or as many ``num_channels``.
            num_channels: C, how many channels the network gets. On the command line it follows ``model.in_channels``; 3
                where neither is set.
            page: Which plane of a stack, or frame of an animation: the first, the middle one, the largest or mean
                number of all, or one by number, from 1.
            max_megapixels: A file that decodes to more is refused, as it may be made to fill the memory. Pillow's own
                limit by default. JPEG files are decoded at a fraction, which counts.
            stored_reading: How the pictures of a checkpoint were read; the command line sets it.
            num_workers: Processes that decode. By default none on a CPU, where threads decode between two steps and
                processes would compete with the step for cores; on a GPU one for each core, up to 8.
            **options: Those of `ImageDataModule`.

        Raises:
            TlearnError: ``crop_pct`` is not above 0 and at most 1.
        """
        size_px, crop_mode, crop_pct, num_workers = plain_values(
            size_px=size_px, crop_mode=crop_mode, crop_pct=crop_pct, num_workers=num_workers
        )
        if not 0 < crop_pct <= 1:
            raise TlearnError(f"data.init_args.crop_pct: expected more than 0 and at most 1, got {crop_pct:g}")
        if num_workers is None:
            num_workers = min(_MOST_WORKERS, cores_allowed()) if torch.cuda.is_available() else 0
        super().__init__(num_workers=num_workers, **options)
        bands = None if channels is None else tuple(channels)
        given = Reading(intensity, {}, bands, num_channels or 3, page, max_megapixels)
        reading = given if stored_reading is None else given.as_stored(reading_in(stored_reading))
        self._knows_ranges = stored_reading is not None
        self._framing = Framing(DEFAULT_SIZE_PX if size_px is None else size_px, crop_mode, crop_pct, reading)

    @property
    def image_shape_px(self) -> tuple[int, int]:
        """Return S and S."""
        return self._framing.size_px, self._framing.size_px

    @property
    def num_channels(self) -> int:
        """Return C."""
        return self._framing.reading.num_channels

    @property
    def framing(self) -> Framing:
        """Say how a picture file is brought to the form of these images; its ranges are known after `setup`."""
        return self._framing

    @property
    def learns_ranges(self) -> bool:
        """Tell whether the training pictures are still to say what is black and white; no option or checkpoint does."""
        return self._framing.reading.intensity == "auto" and not self._knows_ranges

    def _keep_ranges(self, ranges: Mapping[str, Range]) -> None:
        """Read all pictures by what was learned, from now on."""
        self._framing = replace(self._framing, reading=replace(self._framing.reading, ranges=ranges))
        self._knows_ranges = True


def _usable(targets: Tensor, task: Task) -> Tensor:
    left_out = targets.isnan() if targets.is_floating_point() else targets < 0
    if task == "multilabel":
        left_out = left_out.all(dim=1)
    return torch.nonzero(~left_out.flatten(1).any(dim=1) if left_out.ndim > 1 else ~left_out).flatten()
