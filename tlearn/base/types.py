"""What data and models agree on. Letters: B images in a batch, H and W pixels, K classes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

Task = Literal["classification", "multilabel", "regression"]

LABEL_THRESHOLD = 0.5  # of several labels one holds from this probability on, as in torchmetrics


class Batch(NamedTuple):
    """What a datamodule hands to a model.

    Attributes:
        images: uint8 pixels, (B, 3, H, W); float32 features (B, D) while a head trains on the cache.
        targets: int64 class numbers (B,); float32 (B, K) class shares when images were mixed, or 0, 1 and, where it is
            unknown, NaN for several labels an image; float32 (B, 1) values for regression, or (B, K) of K columns.
        indices: int64 (B,), the position of each image in its source (the training or the test set as it lies on disk).
    """

    images: Tensor
    targets: Tensor
    indices: Tensor

    def __reduce__(self) -> tuple[Any, ...]:
        """Send images between processes in shared memory, and the rest by value.

        torch would share all three, which for the small ones takes a twentieth of the time of decoding a batch.
        """
        return _received, (self.images, self.targets.numpy(), self.indices.numpy())


def _received(images: Tensor, targets: NDArray[Any], indices: NDArray[Any]) -> Batch:
    return Batch(images, torch.from_numpy(targets), torch.from_numpy(indices))
