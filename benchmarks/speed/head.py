"""A head's epoch on cached features against a bare torch loop. N rows, D features, K classes.

    python -m benchmarks.speed.head

Both train the same linear head by SGD on 45,000 x 512 features, batch 256, in turn in one process. tlearn's time counts
from an epoch's start to the end of its last batch, audit and bookkeeping in it, validation and checkpoints not.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from benchmarks.frozen import elsewhere
from benchmarks.machine import Figure
from tlearn import TransferModule
from tlearn.cli.callbacks import callbacks_for
from tlearn.data.sources.bases import InMemoryDataModule

ROWS, WIDTH, CLASSES, BATCH = 45_000, 512, 10, 256


class Noise(InMemoryDataModule):
    """Small random images, so that features take little time."""

    def __init__(self, rows: int, batch_size: int) -> None:
        """Take the number of training images; a few more validate."""
        super().__init__(
            class_names=[str(number) for number in range(CLASSES)], batch_size=batch_size, val_fraction=0.02
        )
        self.rows = round(rows / 0.98)

    def load_split(self, split: str) -> tuple[Tensor, Tensor]:
        """Draw them."""
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (self.rows, 3, 8, 8), generator=generator).byte()
        return images, torch.randint(CLASSES, (self.rows,), generator=generator)


class EpochTimes(Callback):
    """Note the seconds of each epoch's training."""

    times_s: ClassVar[list[float]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the watch."""
        self.start_s = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop it at the epoch's last batch."""
        if trainer.is_last_batch:
            self.times_s.append(time.perf_counter() - self.start_s)


def tlearn_epochs(data: Noise, epochs: int) -> list[float]:
    """Seconds of each epoch but the first, which also begins."""
    module = TransferModule(CLASSES, weights=None, freeze_backbone=True)
    EpochTimes.times_s.clear()
    watch = EpochTimes()
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[*callbacks_for(module, checkpoints=False), watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data)
    return EpochTimes.times_s[1:]


def bare_epochs(epochs: int) -> list[float]:
    """Seconds of each epoch of the plainest loop that learns the same: order, gather, loss, gradients, step."""
    features, labels = torch.randn(ROWS, WIDTH), torch.randint(CLASSES, (ROWS,))
    head, found = nn.Linear(WIDTH, CLASSES), []
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(epochs):
        start_s = time.perf_counter()
        for picked in torch.randperm(ROWS).split(BATCH):
            loss = nn.functional.cross_entropy(head(features[picked]), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found.append(time.perf_counter() - start_s)
    return found[1:]


def measure(n: int = 5, epochs: int = 6) -> list[Figure]:
    """Take both in turn, n times, and relate the medians."""
    data = Noise(ROWS, BATCH)
    with elsewhere():
        pairs = [(median(tlearn_epochs(data, epochs)), median(bare_epochs(epochs))) for _ in range(n)]
    own_s, bare_s = (median(times) for times in zip(*pairs, strict=True))
    detail: dict[str, object] = {"tlearn s": own_s, "bare loop s": bare_s, "pairs s": pairs}
    name = f"head epoch on {ROWS:,} x {WIDTH} features, batch {BATCH}: tlearn over a bare loop"
    return [Figure(name, median(own / bare for own, bare in pairs), "x", "<= 1.15", n, detail)]


if __name__ == "__main__":
    for figure in measure():
        print(f"{figure.name}: {figure.value:.2f} {figure.unit} {figure.wanted}  {figure.detail}")
