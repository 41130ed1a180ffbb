"""Compute the pooled features of every stage in one pass over the images. N images, D features of all stages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.stage_probe import Labelled, stages_of
from tlearn.base.progress import Progress
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import iterate_over_split
from tlearn.training.typed import FitSplit, data_of

AT_ONCE = 32  # images in a pass over some of them


@dataclass(frozen=True)
class StageFeatures:
    """The features of every stage at one image size.

    Attributes:
        image_size_px: Side of what the network saw.
        train: Stage to its features of the training images, ``all`` for all stages side by side.
        val: The same for validation.
        time_s: Seconds of the pass.
    """

    image_size_px: int
    train: dict[str, Labelled]
    val: dict[str, Labelled]
    time_s: float


def own_size_px(trainer: Trainer, module: TransferModule) -> int:
    """Return the side of what the network sees as the options stand."""
    data = data_of(trainer)
    return int(module.preprocess.image_size or min(data.image_shape_px))


def stage_features(trainer: Trainer, module: TransferModule, size_px: int) -> StageFeatures:
    """Compute the features of training and validation images, never augmented, with the folded network.

    Args:
        trainer: Gives data, precision and device.
        module: Gives the network; left as it is.
        size_px: Side of what the network sees.
    """
    start_s = time.perf_counter()
    tapped, splits = tapped_network(trainer, module, size_px), {}
    sets: dict[FitSplit, ImageSet] = {
        "train": data_of(trainer).dataset("train"),
        "val": data_of(trainer).dataset("val"),
    }
    with Progress(count=2, costs=[len(images) for images in sets.values()]) as passes:
        for split, images in sets.items():
            passes.next("")
            rows = torch.cat(list(iterate_over_split(trainer, tapped, split, tapped.features)))
            parts = stages_of(rows, tapped.backbone.taps, tapped.backbone.widths)
            targets: Tensor = module.learned(images.targets[images.indices])
            splits[split] = {stage: Labelled(part, targets) for stage, part in parts.items()}
    return StageFeatures(size_px, splits["train"], splits["val"], time.perf_counter() - start_s)


def tapped_network(trainer: Trainer, module: TransferModule, size_px: int) -> TransferModule:
    """Make the network that gives all its stages side by side; see `stage_features`."""
    tapped = network_like(module, size_px, tap=list(module.backbone.tappable), freeze_backbone=True)
    tapped.trainer = trainer
    tapped.to(module.device).setup("fit")
    return tapped


def features_of(trainer: Trainer, tapped: TransferModule, positions: Tensor) -> tuple[Tensor, list[float]]:
    """Compute the features of some training images, never augmented.

    Args:
        trainer: Gives data, precision and device.
        tapped: See `tapped_network`.
        positions: int64 (M,), which images.

    Returns:
        The features (M, D), on the CPU, and the seconds that the network took for each batch.
    """
    images = data_of(trainer).dataset("train").on(torch.device("cpu"), None)
    found, times_s = [torch.empty(0, sum(tapped.backbone.widths))], list[float]()
    with evaluating(tapped), trainer.precision_plugin.forward_context(), torch.no_grad():
        for part in positions.split(AT_ONCE):
            pixels = images[BatchKey(0, part)].images
            start_s = time.perf_counter()
            found.append(tapped.features(pixels.to(tapped.device)).float().cpu())
            times_s.append(time.perf_counter() - start_s)
    return torch.cat(found), times_s


def network_like(module: TransferModule, size_px: int, pretrained: bool = True, **options: Any) -> TransferModule:
    """Make a network for the same classes, with other options of the model.

    Args:
        module: Gives the network and the statistics of its pixels; left as it is.
        size_px: Side of what the network sees.
        pretrained: Take over the weights of the stages that the options leave; else they are random.
        options: See `TransferModule`.
    """
    made = TransferModule(
        module.num_classes,
        module.class_names,
        module.task,
        str(module.hparams["backbone"]),
        weights=None,
        image_size=size_px,
        in_channels=module.options.in_channels,
        backbone_args=module.hparams.get("backbone_args"),
        **options,
    )
    made.preprocess.load_state_dict(module.preprocess.state_dict())
    made.answer_in(module.unit)
    if pretrained:
        made.backbone.take_over(module.backbone)
    return made
