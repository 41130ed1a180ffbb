"""Keep the map at the border between the stages that are frozen and those that train. N images, B in a batch."""

from __future__ import annotations

import logging
import shutil
from functools import cached_property
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import FOLDER
from tlearn.base.files import large_size
from tlearn.data.images.kept_maps import KeptMaps
from tlearn.models.backbones.cut import Border, Cut, cut_behind
from tlearn.models.freezing import Rule
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.strategies.kept.rows import Kind, describe, kept, missing_bytes, rows_of_split
from tlearn.training.typed import FitSplit, data_of

log = logging.getLogger(__name__)

_FEWEST_EPOCHS = 2  # a single one would compute the frozen stages no less often, and write their map


class Phase(NamedTuple):
    """Epochs that train on the same map.

    Attributes:
        start: The first of them, counted from 0.
        end: The one after the last; infinity where there is none.
        stage: The last frozen stage, whose map is kept; ``None``: images are served.
    """

    start: int
    end: float
    stage: str | None


def backbone_rules(module: TransferModule) -> dict[str, Rule]:
    """Return the rule of each parameter of the backbone, by its name there."""
    start = "backbone."
    return {name.removeprefix(start): rule for name, rule in module.rules.items() if name.startswith(start)}


def frozen_epochs(module: TransferModule) -> float:
    """Return the number of epochs before a parameter of the backbone trains; infinity if none ever does."""
    rules = [rule for rule in backbone_rules(module).values() if rule.lr_scale is not None]
    return min((rule.from_epoch for rule in rules), default=float("inf"))


def border_in(module: TransferModule, epoch: int) -> str | None:
    """Return the last stage of those that are frozen in an epoch, from the shallowest on.

    The stem alone is not counted: its map is larger than the picture, and quickly computed.

    Raises:
        TlearnError: The network cannot be cut there; the message says why, and is part of a sentence.
    """
    rules = backbone_rules(module)
    trained = {module.backbone.stage_of(name) for name, rule in rules.items() if rule.trains_in(epoch)}
    frozen = list[str]()
    for stage in module.backbone.stages:
        if stage in trained:
            break
        frozen.append(stage)
    fault: TlearnError | None = None
    for stage in reversed(frozen[1:]):
        try:
            cut = cut_behind(module.backbone, stage)
        except TlearnError as error:
            fault = fault or error
            continue
        if any(rules[name].trains_in(epoch) for name in cut.tensors() if name in rules):
            continue  # a part of a later stage stands before the end of this one
        if any(_is_loose(part) for part in cut.loose_parts()):
            fault = fault or TlearnError("something in its frozen stages differs from step to step, as dropout does")
            continue
        return stage
    if fault is not None:
        raise fault
    return None


def phases_of(module: TransferModule, epochs: float, share: float = 1.0) -> list[Phase]:
    """Divide the epochs after those of a wholly frozen backbone by where the frozen stages end.

    An opening moves the border: from then on a shallower map is needed. Where a map would serve too few epochs, those
    are served the shallower one at once, or images if none follows. It depends on the run's options alone, so that a
    resumed run has the same maps.

    Args:
        module: Has the rules.
        epochs: Of the run; infinity where they are open.
        share: Of the images that an epoch shows.

    Raises:
        TlearnError: The network cannot be cut at a border.
    """
    begin = frozen_epochs(module)
    opening = {rule.from_epoch for rule in backbone_rules(module).values() if rule.lr_scale is not None}
    starts = sorted(start for start in opening if begin <= start < epochs)
    phases = list[Phase]()
    for start, end in reversed(list(zip(starts, [*starts, epochs][1:], strict=True))):
        stage = border_in(module, start)
        if (end - start) * share >= _FEWEST_EPOCHS:
            phases.insert(0, Phase(start, end, stage))
        elif phases:
            phases[0] = phases[0]._replace(start=start)
        else:
            phases.insert(0, Phase(start, end, None))
    return phases


class BorderMaps:
    """The maps of one border: what they are, how much room they take, and how to have them.

    Args:
        trainer: Gives data and precision.
        module: Gives the network.
        stage: The last frozen stage.
    """

    def __init__(self, trainer: Trainer, module: TransferModule, stage: str) -> None:
        self._trainer, self._module, self.stage = trainer, module, stage
        height, width = data_of(trainer).image_shape_px
        images = torch.zeros(2, data_of(trainer).num_channels, height, width, dtype=torch.uint8, device=module.device)
        self._cut: Cut = cut_behind(module.backbone, stage)
        with evaluating(module), trainer.precision_plugin.forward_context():
            made = self._cut.until(module.preprocess(images))
            half = torch.is_autocast_enabled(made.device.type) and torch.get_autocast_dtype(made.device.type)
        self.border = Border(stage, made.dtype)
        last = torch.channels_last
        self.is_channels_last = made.ndim == 4 and made.is_contiguous(memory_format=last) and not made.is_contiguous()
        self.dtype = torch.bfloat16 if torch.bfloat16 in (made.dtype, half) else torch.float32
        self.shape = tuple(self._laid_out(made).shape[1:])

    def zeros(self, images: int) -> Tensor:
        """Return maps (B, ...) of no images, as batches hold them, to time a step with."""
        rows = torch.zeros(images, *self.shape, dtype=self.dtype, device=self._module.device)
        return rows.permute(0, 3, 1, 2) if self.is_channels_last else rows

    def missing_bytes(self) -> int:
        """Return how much the maps of all images, in all views, will take that are not in the cache yet."""
        data = data_of(self._trainer)
        splits: tuple[FitSplit, ...] = ("train", "val") if data.validates and not data.folds else ("train",)
        asked = [(split, view) for split in splits for view in self._views(split)]
        return sum(missing_bytes(self._trainer, self._module, self._kind, split, view) for split, view in asked)

    def too_large(self) -> str | None:
        """Say why they are not kept, or say what they will take, if that is more than nothing, and return ``None``."""
        size, limit_gb = self.missing_bytes(), self._module.caching.feature_cache_gb
        if not size:
            return None
        views = self._module.caching.cache_views
        kind = f"{' x '.join(map(str, self.shape))} {str(self.dtype).removeprefix('torch.')}"
        said = (
            f"maps of {self.stage}, {kind} an image{f' in {views} views' if views > 1 else ''}, take {large_size(size)}"
        )
        folder = FOLDER.absolute()
        free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
        if size > limit_gb * 1e9:
            return f"{said}, more than model.feature_cache_gb {limit_gb:g}"
        if size > free:
            return f"{said}, and {FOLDER} has {large_size(free)} left"
        log.info("%s in %s; model.feature_cache_gb allows %g GB", said, FOLDER, limit_gb)
        return None

    def of(self, split: FitSplit) -> KeptMaps:
        """Return the maps of a split, computed once or from the cache.

        Raises:
            TlearnError: The cache cannot be written.
        """
        rows = [kept(self._trainer, self._module, self._kind, split, view, again=False) for view in self._views(split)]
        return KeptMaps(rows, rows_of_split(data_of(self._trainer), split), self.is_channels_last)

    @cached_property
    def _kind(self) -> Kind:
        """What is kept; made when it is first asked for, because all frozen weights are hashed."""
        origin = describe(self._trainer, self._module, self._cut.tensors()) | {
            "border": self.stage,
            "dtype": str(self.dtype),
            "channels_last": self.is_channels_last,
        }
        return Kind(f"maps of {self.stage}", self._compute, self.shape, self.dtype, origin)

    def _views(self, split: FitSplit) -> range:
        return range(self._module.caching.cache_views if split == "train" else 1)

    def _compute(self, images: Tensor) -> Tensor:
        return self._laid_out(self._cut.until(self._module.preprocess(images)))

    def _laid_out(self, maps: Tensor) -> Tensor:
        """Return maps as they are kept: what is channels last in memory is so on disk, and nothing is turned later."""
        return maps.permute(0, 2, 3, 1) if self.is_channels_last else maps


def _is_loose(part: nn.Module) -> bool:
    """Tell whether a part without parameters acts otherwise in training."""
    shares = (getattr(part, name, 0.0) for name in ("p", "prob", "drop_prob"))
    return isinstance(part, nn.modules.batchnorm._BatchNorm) or any(isinstance(s, float) and s > 0 for s in shares)
