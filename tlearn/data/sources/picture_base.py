"""The base of folders, tables and datasets of other libraries: pictures of all sizes, decoded batch by batch."""

from __future__ import annotations

from abc import ABC
from typing import Any, Literal

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt

from tlearn.base.errors import TlearnError
from tlearn.base.machine import cores_allowed
from tlearn.base.plain_values import plain_values
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.files.reading import CROP_PCT, DEFAULT_SIZE_PX, Framing

_MOST_WORKERS = 8


class PictureDataModule(ImageDataModule, ABC):
    """Pictures that are decoded batch by batch and brought to squares of one size."""

    def __init__(
        self,
        *,
        size_px: PositiveInt | None = None,
        crop_mode: Literal["center", "letterbox"] = "center",
        crop_pct: float = CROP_PCT,
        num_workers: NonNegativeInt | None = None,
        **options: Any,
    ) -> None:
        """Take the options; no picture is read.

        Args:
            size_px: Side of the squares. On the command line it follows ``model.image_size``; 224 where neither is set.
            crop_mode: ``center`` cuts the centre out of each picture; ``letterbox`` shows the whole picture, with bars.
            crop_pct: Side of the centre, as a share of the short side; 0.875 is 224 of 256 px, as in ImageNet's tests.
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
        self._framing = Framing(DEFAULT_SIZE_PX if size_px is None else size_px, crop_mode, crop_pct)

    @property
    def image_shape_px(self) -> tuple[int, int]:
        """Return S and S."""
        return self._framing.size_px, self._framing.size_px

    @property
    def framing(self) -> Framing:
        """Say how a picture file is brought to the form of these images."""
        return self._framing
