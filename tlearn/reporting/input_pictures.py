"""What the network sees, in TensorBoard before the first step. B images, S the side that the network sees."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.reporting.attempt import attempt
from tlearn.reporting.evaluation import in_words
from tlearn.reporting.evaluation_pictures import tiles
from tlearn.reporting.figures import gallery_figure, shortened
from tlearn.reporting.loggers import show, takes_pictures
from tlearn.training.module import TransferModule

_SHOWN = 16


class InputPicturesCallback(Callback):
    """Show some training images, augmented, and some of validation, as they are after preprocessing, with labels."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw both grids, where the logger takes pictures."""
        assert isinstance(pl_module, TransferModule)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
        if not takes_pictures(trainer) or not trainer.is_global_zero or trainer.global_step:
            return
        attempt("the grid of images", lambda: self._draw(trainer, pl_module, data))

    def _draw(self, trainer: Trainer, pl_module: TransferModule, data: Any) -> None:
        for split, name in (("train", "training"), ("val", "validation")):
            if split == "val" and not trainer.enable_validation:
                continue
            batch = data.sample(split, _SHOWN)
            pictures = (seen(pl_module, batch.images) * 255).round().to(torch.uint8)
            labels = [label_of(pl_module, target) for target in batch.targets]
            show(trainer, f"data/{split}", gallery_figure(tiles(pictures), labels, f"{name} images, as seen"), 0)


def label_of(module: TransferModule, target: Tensor) -> str:
    """Name what is true of an image: its classes, with their shares where images were mixed, or its value."""
    if module.task != "classification" or not target.ndim:
        return shortened(in_words(module.task, module.class_names, target))
    shares = target.topk(min(2, len(target)))
    pairs = zip(shares.indices.tolist(), shares.values.tolist(), strict=True)
    return "\n".join(f"{share:.0%} {shortened(module.class_names[n])}" for n, share in pairs if share > 0)


@torch.no_grad()
def seen(module: TransferModule, images: Tensor) -> Tensor:
    """Turn uint8 images (B, 3, H, W) into what the network sees of them, in colours again: (B, 3, S, S) from 0 to 1."""
    preprocess = module.preprocess
    pixels = preprocess(images.to(module.device)).float()
    mean, std = (values.view(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
    colours: Tensor = (pixels * std + mean).clamp(0, 1)
    return colours.cpu()
