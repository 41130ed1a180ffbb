"""The types that data and models share. Letters: B images in a batch, C channels, H and W pixels, K classes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

Task = Literal["classification", "multilabel", "regression"]

LABEL_THRESHOLD = 0.5  # a label holds from this probability on, as in torchmetrics


class _Tensors(NamedTuple):
    images: Tensor
    targets: Tensor
    indices: Tensor


class Batch(_Tensors):
    """One batch, as a data module hands it to a model.

    It unpacks into its three tensors. Only batches of files to predict for have faults and remarks as further parts.

    Attributes:
        images: uint8 pixels, (B, C, H, W), where C is ``model.in_channels``, three by default; float32 features (B, D)
            while a head trains on the cache.
        targets: int64 class numbers (B,); float32 (B, K) class shares when images were mixed, or 0, 1 and, where it is
            unknown, NaN for several labels an image; float32 (B, 1) values for regression, or (B, K) of K columns.
        indices: int64 (B,), the position of each image in its source (the training or the test set as it lies on disk).
    """

    # `faults` and `remarks` are untyped here: mypy would refuse ``Batch(*tensors)``.
    def __new__(cls, images: Tensor, targets: Tensor, indices: Tensor, faults: Any = None, remarks: Any = None) -> Self:
        """Keep the parts; nothing is copied."""
        # Elements, not attributes: torch and Lightning rebuild a named tuple from its elements.
        rest = [] if faults is None else [faults] if remarks is None else [faults, remarks]
        return tuple.__new__(cls, (images, targets, indices, *rest))

    @property
    def faults(self) -> list[str] | None:
        """B texts that say why a picture could not be read, empty where it could; ``None`` for data with labels."""
        rest: tuple[Any, ...] = self[len(self._fields) :]
        return rest[0] if rest else None

    @property
    def remarks(self) -> list[str] | None:
        """B texts that say what sets a picture apart from the training pictures, empty where nothing does."""
        rest: tuple[Any, ...] = self[len(self._fields) :]
        return rest[1] if len(rest) > 1 else None

    def _replace(self, **parts: Any) -> Self:
        """Return a batch with some parts changed; a named tuple's own would drop faults and remarks."""
        return type(self)(**{**self._asdict(), "faults": self.faults, "remarks": self.remarks, **parts})

    def __repr__(self) -> str:
        """Show all parts; a named tuple's own fails on more than three."""
        return f"Batch{tuple(self)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send images between processes in shared memory, and the rest by value.

        torch would share all three tensors. For the two small ones that takes a twentieth of the time of decoding.
        """
        return _received, (self.images, self.targets.numpy(), self.indices.numpy(), *self[len(self._fields) :])


def _received(images: Tensor, targets: NDArray[Any], indices: NDArray[Any], *rest: list[str]) -> Batch:
    return Batch(images, torch.from_numpy(targets), torch.from_numpy(indices), *rest)
