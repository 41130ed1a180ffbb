"""What the network sees, in TensorBoard before the first step. B images, S the side that the network sees."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.utils import make_grid

from tlearn.models import TransferModule

_SHOWN = 16
_COLUMNS = 4


class InputPicturesCallback(Callback):
    """Show some training images, augmented, and some validation images, as they are after preprocessing."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw both grids, where the logger takes pictures."""
        assert isinstance(pl_module, TransferModule)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit
        experiments: list[Any] = [getattr(logger, "experiment", None) for logger in trainer.loggers]
        draws = [experiment for experiment in experiments if hasattr(experiment, "add_image")]
        if not draws or not trainer.is_global_zero or trainer.global_step or not hasattr(data, "sample"):
            return
        for split in ("train", "val"):
            grid = make_grid(seen(pl_module, data.sample(split, _SHOWN)), _COLUMNS)
            for experiment in draws:
                experiment.add_image(f"data/{split}", grid, 0)


@torch.no_grad()
def seen(module: TransferModule, images: Tensor) -> Tensor:
    """Turn uint8 images (B, 3, H, W) into what the network sees of them, in colours again: (B, 3, S, S) from 0 to 1."""
    preprocess = module.preprocess
    pixels = preprocess(images.to(module.device)).float()
    mean, std = (values.view(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
    colours: Tensor = (pixels * std + mean).clamp(0, 1)
    return colours.cpu()
