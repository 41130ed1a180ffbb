"""Python users with a Trainer, a data module and a subclass of their own, where nothing comes from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset

from tlearn.base.types import Batch, Task
from tlearn.training.module import TransferModule

NETWORK: dict[str, Any] = {"backbone": "timm/test_resnet", "weights": None}


class Pictures(Dataset[Batch]):
    """Twelve pictures of noise."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __len__(self) -> int:
        return 12

    def __getitem__(self, number: int) -> Batch:
        images = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
        value = torch.tensor([number / 12]) if self.task == "regression" else torch.tensor(number % 3)
        return Batch(images, value, torch.tensor(number))


class OwnData(LightningDataModule):
    """A data module with names that tlearn's have too, for other things."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.dataset, self.train_batches = Pictures(task), ["a", "b"]

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.dataset, 4, collate_fn=_batch)

    val_dataloader = train_dataloader


class OwnOptimizer(TransferModule):
    """A network whose optimizer is the user's."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def _batch(items: list[Batch]) -> Batch:
    return Batch(*map(torch.stack, zip(*items, strict=True)))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("kind", [TransferModule, OwnOptimizer])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_data_and_subclasses_of_ones_own_train(kind: type[TransferModule], task: Task, tmp_path: Path) -> None:
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        default_root_dir=tmp_path,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = kind(1 if task == "regression" else 3, task=task, **NETWORK)
    trainer.fit(module, datamodule=OwnData(task))
    assert trainer.global_step == 6
    assert trainer.callback_metrics["val/loss"].isfinite()
