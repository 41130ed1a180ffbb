"""Parts of runs that are started from Python: a quiet `fit`, data without a length, a smaller ResNet18."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import IterableDataset

from tlearn import DigitsDataModule, TransferModule
from tlearn.base.types import Batch


def fit(
    model: TransferModule, data: DigitsDataModule, callbacks: list[Callback] | None = None, max_epochs: int = 1
) -> None:
    Trainer(
        max_epochs=max_epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    ).fit(model, data)


class Endless(IterableDataset[Batch]):
    """Three batches whose number nobody knows before."""

    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(0)
        for number in range(3):
            images = torch.randint(256, (8, 3, 16, 16), generator=generator, dtype=torch.uint8)
            yield Batch(images, torch.arange(8) % 3, torch.arange(8) + number)


def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a ResNet18 be a ResNet10: `advise` looks at all its stages."""
    from torchvision.models import ResNet

    original = ResNet.__init__

    def thin(self: Any, block: Any, layers: Any, **options: Any) -> None:
        original(self, block, [1, 1, 1, 1], **options)

    monkeypatch.setattr(ResNet, "__init__", thin)
