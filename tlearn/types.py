"""What data and models agree on. Letters: B images in a batch, H and W pixels, K classes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

Task = Literal["classification", "multilabel", "regression"]


class Batch(NamedTuple):
    """What a datamodule hands to a model.

    Attributes:
        images: uint8 pixels, (B, 3, H, W); float32 features (B, D) while a head trains on the cache.
        targets: int64 class numbers (B,); float32 (B, K) class shares when images were mixed, or 0 and 1 for several
            labels an image; float32 (B, 1) values for regression.
        indices: int64 (B,), the position of each image in its source (the training or the test set as it lies on disk).
    """

    images: Tensor
    targets: Tensor
    indices: Tensor
