"""Maps that stand in place of images: what a network's frozen stages make of them. N images, B in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from tlearn.base.types import Batch
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import CachedFeatures


class KeptMaps(NamedTuple):
    """The maps of a split, as they are kept.

    Attributes:
        views: (M, ...) each, float32 or bfloat16, a row for each image; maps of convolutions (M, h, w, C).
        rows: int64 (N,), the rows of the split's images, in their order; ``None`` where all are, in theirs.
        is_channels_last: The network has maps (B, C, h, w), channels last in memory.
    """

    views: Sequence[Tensor]
    rows: Tensor | None
    is_channels_last: bool

    @property
    def nbytes(self) -> int:
        """Return the size of all views."""
        return sum(view.nbytes for view in self.views)


class CachedMaps(CachedFeatures):
    """Maps in place of the images that they were computed from. They may lie in a file larger than the memory."""

    merges: ClassVar[bool] = False

    def __init__(self, maps: KeptMaps, images: ImageSet, seed: int) -> None:
        """Hold references; nothing is copied.

        Args:
            maps: Those of the images.
            images: The images they were computed from, for targets and positions.
            seed: Decides which view of an image an epoch shows.
        """
        super().__init__(maps.views, images, seed)
        self._rows, self._is_channels_last = maps.rows, maps.is_channels_last

    def __getitem__(self, batch_key: BatchKey) -> Batch:
        """Gather a batch; a view is read for those images alone that it is shown of."""
        epoch, positions = batch_key
        indices = self.indices[positions]
        rows = (positions if self._rows is None else self._rows[positions]).to(self.views[0].device)
        if len(self.views) == 1:
            maps = self.views[0].index_select(0, rows)
        else:
            chosen = self.chosen(epoch, indices).to(rows.device)
            maps = self.views[0].new_empty(len(rows), *self.views[0].shape[1:])
            for number, view in enumerate(self.views):
                shown = (chosen == number).nonzero().flatten()
                maps[shown] = view.index_select(0, rows[shown])
        targets = self.targets.index_select(0, indices.to(self.targets.device))
        return Batch(maps.permute(0, 3, 1, 2) if self._is_channels_last else maps, targets, indices)


def on_device(maps: KeptMaps, device: torch.device) -> KeptMaps:
    """Return the same maps on a device."""
    return maps._replace(views=[view.to(device) for view in maps.views])
