"""Compute what is frozen once: the features of a frozen backbone, or the map behind its frozen stages.

N images, D features.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.processes import gathered, own_share
from tlearn.data.datamodule import ImageDataModule
from tlearn.training.exact_resume import finished_epochs
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.each_step import needs_images
from tlearn.training.strategies.feature_steps import take_plain_steps
from tlearn.training.strategies.features import iterate_over_split
from tlearn.training.strategies.kept.maps import BorderMaps, Phase, frozen_epochs, phases_of
from tlearn.training.strategies.kept.rows import Kind, describe, kept, rows_of_split
from tlearn.training.typed import FitSplit, OptionCallback, data_of, is_trial, on_features, own_data_of

log = logging.getLogger(__name__)

_PARTIAL = "the run sees only a part of the images"
_OWN = "the network is your own, whose code may change under its name"
_TAUGHT = "the teacher of model.distill_from has to see the images"
_AUGMENTED = "data.augment changes the images in every epoch (model.cache_views: 8 would keep eight forms of each)"


def features_of(trainer: Trainer, module: TransferModule, split: FitSplit, again: bool = False) -> list[Tensor]:
    """Return the features of a split, one float32 tensor (N, D) for each view: the plain one, then augmented ones.

    They are read from the cache, or computed and stored, unless the cache is off or the run uses a part of the images.

    Args:
        trainer: Gives data and precision.
        module: Gives the network, whose backbone has not trained yet.
        split: ``train`` or ``val``.
        again: The run has asked before: nothing is renewed, nor said once more.

    Raises:
        TlearnError: The cache cannot be written.
    """
    if on_features(trainer):
        return list(data_of(trainer).features(split))
    views = range(module.caching.cache_views if split == "train" else 1)
    if obstacle_to_storing(trainer, module):
        return [_by_shares(trainer, module, split, view) for view in views]
    kind = Kind("features", module.features, (module.backbone.num_features,), torch.float32, describe(trainer, module))
    rows = rows_of_split(data_of(trainer), split)
    found = [kept(trainer, module, kind, split, view, again) for view in views]
    return found if rows is None else [view[rows] for view in found]


def _by_shares(trainer: Trainer, module: TransferModule, split: FitSplit | Literal["fit"], view: int) -> Tensor:
    what = f"features of {split}, view {view}" if view else f"features of {split}"
    own = iterate_over_split(trainer, module, split, module.features, view, own_share(), what)
    return torch.cat(gathered(torch.cat([torch.empty(0, module.backbone.num_features), *own])))


class FeatureCacheCallback(OptionCallback):
    """Let the data serve cached features while the backbone is frozen, maps while some stages are, then images.

    The network tells features from images by their shape, and maps by their type once it knows the border.
    """

    serves = frozenset({"feature_cache", "cache_views"})

    def __init__(self) -> None:
        self._first_epoch = 0
        self._phases: list[Phase] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the first epoch of a resumed run; Lightning sets its counters only after `on_fit_start`."""
        self._first_epoch = finished_epochs(checkpoint)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute or load what the first epoch trains on, unless there is an obstacle.

        Raises:
            TlearnError: There is nothing to cache, but ``feature_cache: refresh`` or ``cache_views`` asks for it.
        """
        module = model_of(trainer)
        reason = obstacle(trainer, module, self._first_epoch)
        self._phases, no_maps = map_phases(trainer, module)
        if reason and not self._phases and module.caching.feature_cache == "refresh":
            raise TlearnError(f"model.feature_cache refresh: nothing to cache, {no_maps or reason}; set it to auto")
        if module.caching.cache_views > 1 and not 0 < frozen_epochs(module) <= self._first_epoch:
            check_views(trainer, module)
        if reason is None or self._phases:
            module.measure_pixels()  # callbacks begin before the module does
        if reason is None:
            data = data_of(trainer)
            data.serve_features({split: features_of(trainer, module, split) for split in _splits(data)})
            take_plain_steps(trainer, module)
        elif reason in (_AUGMENTED, _OWN, _TAUGHT):
            log.info("features are not cached: %s", reason)
        else:
            self._serve_maps(trainer, self._first_epoch)
            if no_maps:
                log.info("the frozen stages run anew in every epoch: %s", no_maps)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to maps or images when a stage opens; the loaders ask at the start of each pass what to serve."""
        if trainer.current_epoch >= frozen_epochs(model_of(trainer)):
            if on_features(trainer):
                _serve_images(trainer)
            self._serve_maps(trainer, trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to images."""
        _serve_images(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Switch to images, also after an error: Lightning then calls neither `on_train_end` nor `teardown`."""
        _serve_images(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Switch to images, also if no epoch was left to train: Lightning then does not call `on_train_end`."""
        _serve_images(trainer)

    def _serve_maps(self, trainer: Trainer, epoch: int) -> None:
        """Serve the maps that this epoch trains on, or images where it has none."""
        stage = next((phase.stage for phase in self._phases if phase.start <= epoch < phase.end), None)
        module = model_of(trainer)
        if stage is None or (module.border and module.border.stage == stage):
            if stage is None:
                _serve_images(trainer)
            return
        data, maps = data_of(trainer), BorderMaps(trainer, module, stage)
        if reason := maps.too_large():
            log.warning("%s: the frozen stages run anew in every epoch", reason)
            self._phases = []  # a shallower map is larger still
            _serve_images(trainer)
            return
        data.serve_maps({split: maps.of(split) for split in _splits(data)})
        module.border = maps.border


def _splits(data: ImageDataModule) -> tuple[FitSplit, ...]:
    return ("train", "val") if data.validates else ("train",)


def _serve_images(trainer: Trainer) -> None:
    data = own_data_of(trainer)
    if data is not None and (data.serves_features or data.serves_maps):
        data.serve_images()
    model_of(trainer).border = None


def map_phases(trainer: Trainer, module: TransferModule) -> tuple[list[Phase], str | None]:
    """Return the epochs that train on maps of the frozen stages, and the border of each.

    Returns:
        The phases, empty if no epoch does, and why the maps of frozen stages are not kept, where that is worth saying.
    """
    if obstacle_to_storing(trainer, module):
        return [], None
    data = data_of(trainer)
    share = min(1.0, _images_an_epoch(trainer, data) / max(1, len(data.dataset("train"))))
    try:
        phases = phases_of(module, _epochs(trainer), share)
    except TlearnError as error:
        return [], str(error)
    if not any(phase.stage for phase in phases):
        return [], None
    if reason := _TAUGHT if module.distillation else needs_images(trainer, module):
        return [], reason
    augment = data.augment
    if data.is_augmented and (module.caching.cache_views == 1 or augment.mixup_alpha or augment.cutmix_alpha):
        return [], _AUGMENTED
    return phases, None


def obstacle(trainer: Trainer, module: TransferModule, first_epoch: int = 0) -> str | None:
    """Say why a run that starts with this epoch cannot train on features; ``None`` if it can."""
    if reason := obstacle_to_storing(trainer, module):
        return reason
    if frozen_epochs(module) <= first_epoch:
        return f"the backbone trains in epoch {first_epoch + 1}"
    if module.distillation:
        return _TAUGHT
    if data_of(trainer).is_augmented and module.caching.cache_views == 1:
        return _AUGMENTED
    return None


def obstacle_to_storing(trainer: Trainer, module: TransferModule) -> str | None:
    """Say why features are not stored; ``None`` if they are."""
    data = own_data_of(trainer)
    if module.caching.feature_cache == "off":
        return "it is off"
    if data is None:
        return "the data are not tlearn's"
    if not module.backbone.is_plain:
        return _OWN
    if is_trial(trainer) or _seen_images(trainer, data) < len(data.dataset("train")):
        return _PARTIAL
    return None


def check_views(trainer: Trainer, module: TransferModule) -> None:
    """Log what ``model.cache_views`` saves and costs.

    Raises:
        TlearnError: Nothing would be cached, all views would be the same, or their targets cannot be stored.
    """
    data = data_of(trainer)
    views = module.caching.cache_views
    reason, (phases, _) = obstacle(trainer, module), map_phases(trainer, module)
    if reason == _PARTIAL:
        return  # a trial
    if phases and reason and not frozen_epochs(module):  # the stages that are frozen have views of their maps
        reason = None
    if reason is None and not data.is_augmented:
        reason = "data.augment is off and all views would be alike"
    if reason is None and (data.augment.mixup_alpha or data.augment.cutmix_alpha):
        reason = "mixup and cutmix blend targets too, in pairs that the cache does not know"
    if reason:
        raise TlearnError(f"model.cache_views {views} keeps augmented views for a frozen backbone, but {reason}")
    if not frozen_epochs(module):
        log.info("model.cache_views: the maps of each training image are kept in %d views", views)
        return
    images, width = len(data.dataset("train")), module.backbone.num_features
    epochs = min(frozen_epochs(module), _epochs(trainer))
    log.info(
        "model.cache_views: each training image is kept in %d views (the first is not augmented), of which an epoch "
        "shows one: %d passes over the network in place of %s, %.1f MB",
        *(views, views, "one in every epoch" if epochs == float("inf") else int(epochs)),
        views * images * width * 4 / 1e6,
    )


def _epochs(trainer: Trainer) -> float:
    return trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else float("inf")


def _seen_images(trainer: Trainer, data: ImageDataModule) -> float:
    images = _images_an_epoch(trainer, data)
    return float(images * _epochs(trainer)) if images else 0.0


def _images_an_epoch(trainer: Trainer, data: ImageDataModule) -> float:
    limit = trainer.limit_train_batches
    return limit * data.batch_size if isinstance(limit, int) else limit * len(data.dataset("train"))
