"""Measure what a head reaches at the image size that the network's weights were trained at. N images, K outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.backbones.halving import nested_order
from tlearn.analysis.backbones.judge import judge
from tlearn.analysis.race.paired import paired_interval
from tlearn.analysis.stage_features import StageFeatures, features_of, tapped_network
from tlearn.analysis.stage_probe import stages_of
from tlearn.base.progress import Progress
from tlearn.training.module import TransferModule
from tlearn.training.typed import data_of

MOST_IMAGES = 400  # of the look at the larger size: enough for its gain to within some 4 points


@dataclass(frozen=True)
class OwnSize:
    """What a head reaches at the network's own image size, beside the size that was chosen.

    Attributes:
        size_px: The network's own size, larger than the chosen one.
        images: Training images that were looked at, each answered by a head that was made without it.
        here: Share of right answers at the chosen size.
        there: The same at the network's own.
        low: 5th percentile of the gain, from the same images at both sizes.
        high: 95th percentile.
        pass_time_s: Seconds of a pass over all training and validation images at that size, from those looked at.
    """

    size_px: int
    images: int
    here: float
    there: float
    low: float
    high: float
    pass_time_s: float

    @property
    def gain(self) -> float:
        """Return what the own size brings, as a share."""
        return self.there - self.here


def try_own_size(
    trainer: Trainer, module: TransferModule, own_px: int | None, seen: StageFeatures, folds: Tensor | None
) -> OwnSize | None:
    """Look at some training images at the network's own size; ``None`` where the chosen one is not smaller.

    Args:
        trainer: See `tlearn.analysis.rig.rigged`.
        module: The network; left as it is.
        own_px: Its own image size, where known.
        seen: The features at the chosen size.
        folds: See `tlearn.analysis.stage_probe.left_out_answers`.
    """
    if own_px is None or own_px <= seen.image_size_px or module.task != "classification":
        return None
    targets = next(iter(seen.train.values())).targets
    rows = nested_order(targets)[:MOST_IMAGES].sort().values
    with Progress(f"{own_px} px, the network's own size"):
        network = tapped_network(trainer, module, own_px)
        own, times_s = features_of(trainer, network, rows)
        there = stages_of(own, network.backbone.taps, network.backbone.widths)
        here = {stage: part.features[rows] for stage, part in seen.train.items()}
        right = [_right(module, parts, targets[rows], folds, rows) for parts in (here, there)]
    low, high = paired_interval(right[1] - right[0])
    images = len(targets) + len(data_of(trainer).dataset("val"))
    pass_time_s = sum(times_s) / len(rows) * images
    return OwnSize(own_px, len(rows), float(right[0].mean()), float(right[1].mean()), low, high, pass_time_s)


def _right(
    module: TransferModule, parts: Mapping[str, Tensor], targets: Tensor, folds: Tensor | None, rows: Tensor
) -> Tensor:
    own = None if folds is None else folds[rows]
    answers = judge("classification", parts, module.backbone.stages[-1], targets, module.num_classes, own).answers
    return (answers.argmax(dim=1) == targets).to(torch.float64)
