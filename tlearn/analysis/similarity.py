"""Measure how similar the pictures are to those that the network learned from. The probes decide, not these figures.

Letters: N images, R directions, K outputs, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from tlearn.base.progress import tracked
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.strategies.head_solver import Turned
from tlearn.training.strategies.known_labels import KnownGroup
from tlearn.training.typed import data_of

_ROUNDS, _SETTLED = 30, 1e-4
_IMAGES, _AT_ONCE = 128, 32  # enough for means over all positions of a map; few at once, for memory


def logme(turned: Turned, wanted: Tensor) -> float:
    """Return the log evidence of a linear model, per image and output (LogME; You et al., 2021, arXiv 2102.11005).

    Higher is better; it compares networks or stages on the same images and is no accuracy.

    Args:
        turned: Features of N images.
        wanted: Target outputs, float32 (N, K), all of them known.
    """
    squares = (turned.eigenvalues * len(wanted)).clamp_min(1e-12)  # of the singular values (R,)
    projected = (turned.rows.double().T @ wanted.double()) / squares.sqrt()[:, None]
    width = turned.basis.shape[0]
    centred = wanted.double()
    return (
        sum(_evidence(squares, projected[:, k], centred[:, k], width) for k in range(wanted.shape[1])) / wanted.shape[1]
    )


def mean_logme(groups: Sequence[KnownGroup]) -> float:
    """Return the mean LogME of columns that are known of the same images, weighted by their number."""
    total = sum(logme(group.turned, group.wanted) * len(group.columns) for group in groups)
    return total / max(sum(len(group.columns) for group in groups), 1)


def _evidence(squares: Tensor, projected: Tensor, wanted: Tensor, width: int) -> float:
    images = len(wanted)
    outside = max(float(wanted.square().sum() - projected.square().sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(_ROUNDS):
        ratio = alpha / beta
        used = float((squares / (squares + ratio)).sum())
        size = float((squares * projected.square() / (squares + ratio).square()).sum())
        error = float((projected * ratio / (squares + ratio)).square().sum()) + outside
        alpha, beta = used / max(size, 1e-12), max(images - used, 1e-6) / max(error, 1e-12)
        if abs(alpha / beta - ratio) <= _SETTLED * ratio:
            break
    logs = float((alpha + beta * squares).log().sum()) + (width - len(squares)) * math.log(alpha)
    evidence = width / 2 * math.log(alpha) + images / 2 * math.log(beta / (2 * math.pi)) - logs / 2
    return (evidence - beta / 2 * error - alpha / 2 * size) / images


def batch_norm_shift(trainer: Trainer, module: TransferModule) -> dict[str, float]:
    """Return for each stage with BatchNorm how far its inputs are from the stored statistics, in standard deviations.

    The distance of a channel is that of two normal distributions (Wasserstein-2), divided by the stored standard
    deviation; the median over the channels of a stage. 0 is like the source. At most 128 training images are looked at.
    """
    found: dict[str, list[Tensor]] = {}

    def noting(stage: str) -> Any:
        """Return a hook that notes the distances of a layer."""

        def note(layer: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
            """Note them."""
            assert layer.running_mean is not None
            assert layer.running_var is not None
            maps = given[0].float()
            scale = (layer.running_var + layer.eps).sqrt()
            shift = (maps.mean(dim=(0, 2, 3)) - layer.running_mean) / scale
            spread = maps.var(dim=(0, 2, 3)).add(layer.eps).sqrt() / scale - 1
            found.setdefault(stage, []).append((shift.square() + spread.square()).sqrt())

        return note

    hooks = [
        layer.register_forward_pre_hook(noting(module.backbone.stage_of(f"{name}.weight")))
        for name, layer in module.backbone.named_modules()
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None
    ]
    try:
        with evaluating(module):
            batches = data_of(trainer).sample("val", _IMAGES).images.split(_AT_ONCE)
            for images in tracked(batches, "likeness of the images", len(batches)):
                module.backbone(module.preprocess(images.to(module.device)))
    finally:
        for hook in hooks:
            hook.remove()
    return {stage: float(torch.cat(distances).median()) for stage, distances in found.items()}
