#!/usr/bin/env bash
# lightning 2.6.6: resumed inside an epoch, GradientAccumulationScheduler is not asked, and the rest of it steps at every batch.
#
# Behaviour: the callback sets the window in on_train_epoch_start alone
# (lightning/pytorch/callbacks/gradient_accumulation_scheduler.py, lines 138-140), and a run that is resumed inside an epoch
# skips that hook (lightning/pytorch/loops/fit_loop.py, lines 447-452). The window must be 1 in the Trainer, and the checkpoint does
# not hold it, so until the next epoch every batch is a step. Trainer(accumulate_grad_batches=N) has no such gap.
# Wanted: the epoch's window also after a resume.
# Seen: window 4, 12 batches an epoch, resumed at batch 4: Trainer(accumulate_grad_batches=4) steps at 7, 11; the callback at
# 4, 5, 6, 7, 8, 9, 10, 11, and from the next epoch at 3, 7, 11.
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
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")  # too few workers, resumed inside an epoch


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.steps: list[tuple[int, int]] = []
        self.batches: list[tuple[int, int]] = []
        self.at = (0, 0)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        self.at = (self.current_epoch, index)
        self.batches.append(self.at)
        return self.layer(batch[0]).square().mean()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.steps.append(self.at)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def stepped(what: str, scheduled: bool, checkpoint: str | None) -> list[tuple[int, int]]:
    callbacks = [GradientAccumulationScheduler({0: 4})] if scheduled else []
    saving = ModelCheckpoint(dirpath=what, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        accumulate_grad_batches=1 if scheduled else 4,
        callbacks=[*callbacks, saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Line()
    trainer.fit(model, DataLoader(TensorDataset(torch.ones(12, 1))), ckpt_path=checkpoint)
    print(f"lightning {lightning.__version__}: {what}: {len(model.batches)} batches, steps at (epoch, batch) {model.steps}")
    return model.steps


whole = [(epoch, batch) for epoch in (0, 1) for batch in (3, 7, 11)]
assert stepped("callback", True, None) == whole
assert stepped("trainer", False, None) == whole
assert stepped("trainer resumed at batch 4", False, "trainer/step=1.ckpt") == whole[1:]
assert stepped("callback resumed at batch 4", True, "callback/step=1.ckpt") == [(0, batch) for batch in range(4, 12)] + whole[3:]
PY
