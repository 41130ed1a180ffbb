"""Compute the features of a frozen backbone once, and train the head on them. N images, D features."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import FOLDER, Features, fill, key_of, load
from tlearn.base.processes import ALONE, gathered, own_share, summed
from tlearn.data.datamodule import ImageDataModule
from tlearn.models.state import fingerprint
from tlearn.training.exact_resume import finished_epochs
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.features import iterate_over_split
from tlearn.training.typed import FitSplit, OptionCallback, data_of, is_trial, on_features, own_data_of

log = logging.getLogger(__name__)

_FORMAT = 3
_PARTIAL = "the run sees only a part of the images"
_OWN = "the network is your own, whose code may change under its name"
_AUGMENTED = "data.augment changes the images in every epoch (model.cache_views: 8 would keep eight forms of each)"


def frozen_epochs(module: TransferModule) -> float:
    """Return the number of epochs before a parameter of the backbone trains; infinity if none ever does."""
    rules = [rule for name, rule in module.rules.items() if name.startswith("backbone.") and rule.lr_scale is not None]
    return min((rule.from_epoch for rule in rules), default=float("inf"))


def describe(trainer: Trainer, module: TransferModule) -> dict[str, Any]:
    """Return everything that determines the features, except the choice of images, as plain values."""
    device = module.device
    weights = {name: [str(x.dtype), list(x.shape), fingerprint(x)] for name, x in module.backbone.state_dict().items()}
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    arguments = module.hparams.get("backbone_args")
    return {
        "format": _FORMAT,
        "backbone": module.hparams["backbone"],
        **({"backbone_args": arguments} if arguments else {}),
        "tap": list(module.backbone.taps),
        "trains": module.backbone_trains,  # if not, a folded copy computes, with other last bits
        "weights": key_of(weights),
        "image_size": module.preprocess.image_size,
        "normalise": [module.preprocess.mean.tolist(), module.preprocess.std.tolist()],
        "precision": str(trainer.precision),
        "device": f"{device.type} {chip}",
        "classes": list(module.class_names),
        "versions": {name: version(name) for name in ("torch", "torchvision", "timm") if _matters(name, module)},
    }


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
    origin = describe(trainer, module)
    return [_cached(trainer, module, split, view, origin, again) for view in views]


def _cached(
    trainer: Trainer, module: TransferModule, split: FitSplit, view: int, origin: dict[str, Any], again: bool
) -> Tensor:
    start = time.perf_counter()
    data = data_of(trainer)
    # All folds share their images: who trains on some and validates on others needs the same features.
    passed: FitSplit | Literal["fit"] = "fit" if data.folds else split
    images = data.fit_images() if passed == "fit" else data.dataset(split)
    about = origin | {"data": data.fingerprint_of(split), "split": passed, "rows": fingerprint(images.indices)}
    if view:
        about |= {"view": view, "seed": data.seed, "augment": asdict(data.augment)}
    again = again or (passed, split) == ("fit", "val")  # renewed, and told, for train
    renew = module.caching.feature_cache == "refresh" and not again
    found, shape = None if renew else load(about), (len(images), module.backbone.num_features)
    how = "from the cache"
    missing = found is None or found.shape != shape  # a file of another shape is not ours
    if summed(torch.tensor(int(missing))):  # in any process
        found, how = _computed(trainer, module, passed, view, about, shape, renew)
    assert found is not None
    log.log(
        logging.DEBUG if again else logging.INFO,
        "%s: %d images x %d, %.1f MB in %s, %s in %.1f s",
        *(_named(passed, view), *found.shape, found.nbytes / 1e6),
        *(FOLDER, how, time.perf_counter() - start),
    )
    features = torch.from_numpy(found)
    return features if passed == split else features[torch.searchsorted(images.indices, data.dataset(split).indices)]


def _computed(
    trainer: Trainer,
    module: TransferModule,
    split: FitSplit | Literal["fit"],
    view: int,
    about: dict[str, Any],
    shape: tuple[int, int],
    renew: bool,
) -> tuple[Features, str]:
    """Compute features and store them. Several processes compute a share each; the first on each machine writes."""
    how = "from the cache"

    def chunks() -> Iterator[Features]:
        nonlocal how
        how = "computed once"  # not reached if another run has stored them meanwhile
        for rows in iterate_over_split(trainer, module, split, module.features, view, what=_named(split, view)):
            yield rows.numpy()

    if own_share() == ALONE:
        return fill(about, shape, chunks(), renew), how
    whole: Features = _by_shares(trainer, module, split, view).numpy()
    if trainer.local_rank == 0:
        fill(about, shape, [whole], renew)
    trainer.strategy.barrier()
    stored = load(about)
    # Machines that share no folder each keep their own.
    return whole if stored is None else stored, "computed once"


def _named(split: FitSplit | Literal["fit"], view: int) -> str:
    images = "all folds" if split == "fit" else split
    return f"features of {images}, view {view}" if view else f"features of {images}"


def _by_shares(trainer: Trainer, module: TransferModule, split: FitSplit | Literal["fit"], view: int) -> Tensor:
    own = iterate_over_split(trainer, module, split, module.features, view, own_share(), _named(split, view))
    return torch.cat(gathered(torch.cat([torch.empty(0, module.backbone.num_features), *own])))


class FeatureCacheCallback(OptionCallback):
    """Let the data serve cached features while the backbone is frozen, then images.

    The model needs no switch: it tells features from images by their shape.
    """

    serves = frozenset({"feature_cache", "cache_views"})

    def __init__(self) -> None:
        self._first_epoch = 0

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note the first epoch of a resumed run; Lightning sets its counters only after `on_fit_start`."""
        self._first_epoch = finished_epochs(checkpoint)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute or load the features, unless there is an obstacle.

        Raises:
            TlearnError: There is nothing to cache, but ``feature_cache: refresh`` or ``cache_views`` asks for it.
        """
        module = model_of(trainer)
        reason = obstacle(trainer, module, self._first_epoch)
        if reason and module.caching.feature_cache == "refresh":
            raise TlearnError(f"model.feature_cache refresh: nothing to cache, {reason}; set it to auto")
        if module.caching.cache_views > 1 and not 0 < frozen_epochs(module) <= self._first_epoch:
            check_views(trainer, module)
        if reason is None:
            module.measure_pixels()  # callbacks begin before the module does
            data = data_of(trainer)
            there: tuple[FitSplit, ...] = ("train", "val") if data.validates else ("train",)
            data.serve_features({split: features_of(trainer, module, split) for split in there})
        elif reason in (_AUGMENTED, _OWN):
            log.info("features are not cached: %s", reason)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to images when the first stage opens; the loaders ask at the start of each pass what to serve."""
        if trainer.current_epoch >= frozen_epochs(model_of(trainer)):
            _serve_images(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch to images."""
        _serve_images(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Switch to images, also after an error: Lightning then calls neither `on_train_end` nor `teardown`."""
        _serve_images(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Switch to images, also if no epoch was left to train: Lightning then does not call `on_train_end`."""
        _serve_images(trainer)


def _serve_images(trainer: Trainer) -> None:
    if on_features(trainer):
        data_of(trainer).serve_images()


def obstacle(trainer: Trainer, module: TransferModule, first_epoch: int = 0) -> str | None:
    """Say why a run that starts with this epoch cannot train on features; ``None`` if it can."""
    if reason := obstacle_to_storing(trainer, module):
        return reason
    if frozen_epochs(module) <= first_epoch:
        return f"the backbone trains in epoch {first_epoch + 1}"
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
    reason = obstacle(trainer, module)
    if reason == _PARTIAL:
        return  # a trial
    if reason is None and not data.is_augmented:
        reason = "data.augment is off and all views would be alike"
    if reason is None and (data.augment.mixup_alpha or data.augment.cutmix_alpha):
        reason = "mixup and cutmix blend targets too, in pairs that the cache does not know"
    if reason:
        raise TlearnError(f"model.cache_views {views} keeps augmented views for a frozen backbone, but {reason}")
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
    limit = trainer.limit_train_batches
    images = limit * data.batch_size if isinstance(limit, int) else limit * len(data.dataset("train"))
    return float(images * _epochs(trainer)) if images else 0.0


def _matters(package: str, module: TransferModule) -> bool:
    return package != "timm" or str(module.hparams["backbone"]).startswith("timm/")
