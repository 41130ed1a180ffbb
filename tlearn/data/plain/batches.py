"""Turn the ``(images, labels)`` of a user's own loader into a `Batch`, or say what is wrong with them in one line.

Letters: B images, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task


@dataclass(frozen=True)
class Wanted:
    """What a network takes.

    Attributes:
        task: What the labels are.
        num_outputs: K, the classes, or the columns of a regression.
        num_channels: C.
    """

    task: Task
    num_outputs: int
    num_channels: int


def as_batch(given: Any, wanted: Wanted, first: int = 0) -> Batch:
    """Turn what a loader serves into a batch; one of tlearn's own stays as it is.

    Args:
        given: ``(images, labels)``. Images are uint8 (B, C, H, W), or float32 or float64 from 0 to 1, as torchvision's
            ``ToTensor`` gives; those are rounded to the 256 steps of uint8, which gives back what ``ToTensor`` divided.
            Labels are whole numbers (B,); float class shares (B, K) where images are mixed; float (B, K) of 0, 1 and
            NaN for several labels; numbers (B,) or (B, K) for a regression.
        wanted: What the network takes.
        first: The position of the first image.

    Raises:
        TlearnError: They are something else: a dictionary, pixels in another layout or range, labels out of range.
    """
    if isinstance(given, Batch):
        return given
    images, labels = _pair(given)
    pixels = _pixels(images, wanted.num_channels)
    if not isinstance(labels, Tensor):
        raise TlearnError(f"labels of a batch: expected a tensor of class numbers, got a {type(labels).__name__}")
    if len(labels) != len(pixels):
        raise TlearnError(f"a batch has {len(pixels)} images and {len(labels)} labels; expected as many")
    indices = torch.arange(first, first + len(pixels), device=pixels.device)
    return Batch(pixels, _targets(labels, wanted), indices)


def _pair(given: Any) -> tuple[Any, Any]:
    if isinstance(given, Mapping):
        keys = ", ".join(map(str, given))
        raise TlearnError(
            f"expected batches (images, labels), got dictionaries with {keys}; let the data set, or the collate_fn of "
            "the loader, return a pair"
        )
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        parts = f" of {len(given)} parts" if isinstance(given, (list, tuple)) else ""
        raise TlearnError(f"expected batches (images, labels), got a {type(given).__name__}{parts}")
    return given[0], given[1]


def _pixels(images: Any, channels: int) -> Tensor:
    if not isinstance(images, Tensor):
        raise TlearnError(
            f"images of a batch: expected a tensor (B, C, H, W), got a {type(images).__name__}; let the transforms end "
            "with ToTensor, and bring all images to one size"
        )
    shape = tuple(images.shape)
    if images.ndim != 4 or shape[1] != channels:
        raise TlearnError(f"images of a batch: expected (B, {channels}, H, W), got {shape}{_layout(shape, channels)}")
    if images.dtype == torch.uint8:
        return images
    name = str(images.dtype).removeprefix("torch.")
    if images.dtype not in (torch.float32, torch.float64):
        raise TlearnError(f"images of a batch: expected uint8 or float32, got {name}")
    low, high = (float(value) for value in torch.aminmax(images))
    if not (low >= 0 and high <= 1):
        raise TlearnError(f"images of a batch: floats from {low:.4g} to {high:.4g}, expected 0 to 1{_range(low, high)}")
    return (images * 255).round_().to(torch.uint8)


def _layout(shape: tuple[int, ...], channels: int) -> str:
    if len(shape) == 4 and shape[-1] == channels:
        return ", whose channels stand last; let the data set return image.permute(2, 0, 1)"
    if len(shape) == 4:
        few = f"; set model.in_channels to {shape[1]}" if shape[1] < min(shape[2:]) else ""
        return f"{few or '; bring them to that'}, or change the transforms"
    return ""


def _range(low: float, high: float) -> str:
    if low != low or high != high:
        return "; some are no number"
    if low < -0.1:
        return "; they look normalised: drop Normalize from the transforms, the network normalises by itself"
    if high > 2:
        return "; divide them by 255, or give uint8"
    return "; end the transforms with clamp(0, 1)"


def _targets(labels: Tensor, wanted: Wanted) -> Tensor:
    task, outputs = wanted.task, wanted.num_outputs
    shape, name = tuple(labels.shape), str(labels.dtype).removeprefix("torch.")
    if task == "classification":
        if labels.is_floating_point() and shape[1:] == (outputs,) and outputs > 1:
            return labels.float()  # shares of mixed images
        return _class_numbers(labels, outputs, f"{name} {shape}")
    if task == "multilabel":
        if shape[1:] != (outputs,) or bool(((labels != 0) & (labels != 1) & ~labels.isnan()).any()):
            raise TlearnError(f"labels of a batch: expected 0, 1 or NaN (B, {outputs}), got {name} {shape}")
        return labels.float()
    values = labels.float()
    if values.numel() != len(labels) * outputs or not bool(values.isfinite().all()):
        raise TlearnError(f"labels of a batch: expected finite numbers (B, {outputs}), got {name} {shape}")
    return values.reshape(-1, outputs)


def _class_numbers(labels: Tensor, classes: int, told: str) -> Tensor:
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool or labels.ndim != 1:
        way = "; for numbers to predict give the data module task = 'regression'" if labels.is_floating_point() else ""
        raise TlearnError(f"labels of a batch: expected whole class numbers (B,), got {told}{way}")
    low, high = (int(value) for value in torch.aminmax(labels))
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise TlearnError(
            f"labels of a batch: {wrong} is none of the network's {classes} classes, 0 to {classes - 1}; count labels "
            "from 0, and give the data module the right num_classes"
        )
    return labels.long()
