"""Compute the features of a frozen backbone once, and train the head on them. N images, D features."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.errors import TlearnError
from tlearn.feature_store import FOLDER, Features, fill, load
from tlearn.models import TransferModule
from tlearn.strategies.features import evaluating

log = logging.getLogger(__name__)

_FORMAT = 1
_PIXELS = 2**18  # in a batch: 256 images of 32 px, the fastest there; few enough at 224 px to keep memory low


def frozen_epochs(module: TransferModule) -> float:
    """Count the epochs from the start in which no parameter of the backbone trains; infinity for all."""
    rules = [rule for name, rule in module.rules.items() if name.startswith("backbone.") and rule.lr_scale is not None]
    return min((rule.from_epoch for rule in rules), default=float("inf"))


def describe(trainer: Trainer, module: TransferModule, split: str) -> dict[str, Any]:
    """Name everything that shapes the features of a split, as plain values."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # an ImageDataModule, set by fit
    device = module.device
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {
        "format": _FORMAT,
        "backbone": module.hparams["backbone"],
        "tap": list(module.backbone.taps),
        "weights": _digest(*(part for item in sorted(module.backbone.state_dict().items()) for part in item)),
        "image_size": module.preprocess.image_size,
        "normalise": [module.preprocess.mean.tolist(), module.preprocess.std.tolist()],
        "precision": str(trainer.precision),
        "device": f"{device.type} {chip}",
        "data": data.data_fingerprint,
        "classes": list(module.class_names),
        "split": split,
        "rows": _digest(data.dataset(split).indices),
        "versions": {name: version(name) for name in ("torch", "torchvision", "timm") if _matters(name, module)},
    }


def cached_features(trainer: Trainer, module: TransferModule, split: str) -> Tensor:
    """Return the features of a split, float32 (N, D), from the cache or into it, and say what happened.

    Raises:
        TlearnError: The cache cannot be written.
    """
    start = time.perf_counter()
    about, renew = describe(trainer, module, split), module.feature_cache == "refresh"
    found = None if renew else load(about)
    how = "from the cache"
    if found is None:
        count = len(trainer.datamodule.dataset(split))  # type: ignore[attr-defined]
        chunks = _chunks(trainer, module, split)
        found, how = fill(about, (count, module.backbone.num_features), chunks, renew), "computed once"
    log.info(
        "features of %s: %d images x %d, %.1f MB in %s, %s in %.1f s",
        *(split, *found.shape, found.nbytes / 1e6, FOLDER, how, time.perf_counter() - start),
    )
    return torch.from_numpy(found)


class FeatureCacheCallback(Callback):
    """Let the head train on cached features for as long as the backbone is frozen, then on images."""

    def __init__(self) -> None:
        self._first_epoch = 0

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note where a resumed run begins: Lightning counts its epochs only after `on_fit_start`."""
        self._first_epoch = int(checkpoint["epoch"]) + 1

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute or load the features, unless something speaks against it.

        Raises:
            TlearnError: ``feature_cache: refresh`` where there is nothing to cache.
        """
        assert isinstance(pl_module, TransferModule)
        reason = obstacle(trainer, pl_module, self._first_epoch)
        if reason and pl_module.feature_cache == "refresh":
            raise TlearnError(f"model.feature_cache refresh: nothing to cache, {reason}; set it to auto")
        if reason is None:
            splits = {split: cached_features(trainer, pl_module, split) for split in ("train", "val")}
            trainer.datamodule.serve_features(splits)  # type: ignore[attr-defined]
            pl_module.take_features()
        elif "augment" in reason:
            log.info("features are not cached: %s", reason)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go over to images when the first stage opens; the loaders ask for each epoch anew."""
        assert isinstance(pl_module, TransferModule)
        if trainer.current_epoch >= frozen_epochs(pl_module):
            self.on_train_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take images again."""
        assert isinstance(pl_module, TransferModule)
        if pl_module.takes_features:
            trainer.datamodule.serve_images()  # type: ignore[attr-defined]
            pl_module.take_images()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take images again, also after a fault."""
        self.on_train_end(trainer, pl_module)


def obstacle(trainer: Trainer, module: TransferModule, first_epoch: int = 0) -> str | None:
    """Say why a run that begins with this epoch trains on images from its start; ``None`` where it need not."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if module.feature_cache == "off":
        return "it is off"
    if frozen_epochs(module) <= first_epoch:
        return f"the backbone trains in epoch {first_epoch + 1}"
    if not hasattr(data, "serve_features"):
        return "the data are not tlearn's"
    if data.is_augmented:
        return "data.augment changes the images in every epoch"
    if trainer.fast_dev_run or _seen_images(trainer, data) < len(data.dataset("train")):  # type: ignore[attr-defined]
        return "the run sees only a part of the images"
    return None


def _seen_images(trainer: Trainer, data: Any) -> float:
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else float("inf")
    limit = trainer.limit_train_batches
    images = limit * data.batch_size if isinstance(limit, int) else limit * len(data.dataset("train"))
    return float(images * epochs) if images else 0.0


def _chunks(trainer: Trainer, module: TransferModule, split: str) -> Iterator[Features]:
    images = trainer.datamodule.dataset(split)  # type: ignore[attr-defined]
    size_px = module.preprocess.image_size or int(images.images.shape[-1])
    batch = max(8, min(256, _PIXELS // size_px**2))
    with evaluating(module), trainer.precision_plugin.forward_context():
        for rows in images.indices.split(batch):
            yield module.features(images.images[rows].to(module.device)).float().cpu().numpy()


def _matters(package: str, module: TransferModule) -> bool:
    return package != "timm" or str(module.hparams["backbone"]).startswith("timm/")


def _digest(*parts: str | Tensor) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(part.encode())
    return digest.hexdigest()
