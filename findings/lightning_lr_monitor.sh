#!/usr/bin/env bash
# lightning 2.6.6: LearningRateMonitor logs nothing in a run shorter than log_every_n_steps, or each epoch's first step twice.
#
# Behaviour: a scheduler of interval "step" is only read where (steps so far + 1) is a multiple of log_every_n_steps, 50 unless
# set (lightning/pytorch/callbacks/lr_monitor.py, lines 167-177), so a shorter run has no learning rate at all, not even the first.
# The one hint is the Trainer's own warning, where a single epoch has fewer batches than that.
# An optimizer without a scheduler is read for both intervals (lines 171-187 and 212-214), so that with log_every_n_steps=1 each
# epoch's first step comes once from the epoch's start and once from the batch's.
# Wanted: at least the first learning rate, and one value a step.
# Seen: 4 epochs of 10 batches, interval step, every 50 -> steps []; 2 epochs of 3 batches, no scheduler, every 1 ->
# steps [0, 0, 1, 2, 3, 3, 4, 5].
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightning==2.6.6 torch==2.14.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import logging
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers.logger import Logger
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Steps(Logger):
    name = "steps"
    version = 0

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if any(key.startswith("lr-") for key in metrics):
            self.seen.append(step)

    def log_hyperparams(self, *_: object, **__: object) -> None:
        pass


class Line(lightning.LightningModule):
    def __init__(self, interval: str | None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.interval = interval

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> object:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        if self.interval is None:
            return optimizer
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": self.interval}}


def logged(interval: str | None, every: int | None, epochs: int, batches: int) -> list[int]:
    logger = Steps()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            log_every_n_steps=every,
            logger=logger,
            callbacks=[LearningRateMonitor()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Line(interval), DataLoader(TensorDataset(torch.ones(batches, 1))))
    about = [str(each.message) for each in warned if "log" in str(each.message)]
    run = f"scheduler interval {interval}, log_every_n_steps {trainer.log_every_n_steps}, {epochs} epochs of {batches} batches"
    print(f"lightning {lightning.__version__}: {run}: learning rate at steps {logger.seen}; warnings {about}")
    return logger.seen


assert logged("step", None, 4, 10) == []
assert logged("step", 1, 2, 3) == [0, 1, 2, 3, 4, 5]
assert logged("epoch", None, 4, 10) == [0, 10, 20, 30]
assert logged(None, 1, 2, 3) == [0, 0, 1, 2, 3, 3, 4, 5]
PY
