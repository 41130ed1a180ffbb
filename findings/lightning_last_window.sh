#!/usr/bin/env bash
# lightning 2.6.6: an epoch's last, incomplete accumulation window is divided by the full window too, so its step is too small.
#
# Behaviour: with accumulate_grad_batches=N automatic optimization divides every batch's loss by N
# (lightning/pytorch/loops/optimization/automatic.py, lines 80-83 and 329), and steps at the epoch's last batch even where fewer
# than N batches have been gathered (lightning/pytorch/loops/training_epoch_loop.py, lines 449-454). With 3 batches and N=2
# the last gradient is half of the mean over its one batch; with N larger than the epoch every step shrinks. Nothing is said.
# Wanted: the mean over the batches that the step really has, or a line that says that the last window is short.
# Seen: rows 1, 2, 4: window 2 -> gradients 1.5, 2.0 (means over the windows' batches: 1.5, 4.0); window 6 -> 1.17 (mean 2.33).
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
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")  # too few workers, no validation
batches = [1.0, 2.0, 4.0]  # one row each; the loss is weight * row, so each batch's gradient is its row


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.gradients: list[float] = []

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return (self.weight * batch[0]).mean()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.gradients.append(self.weight.grad.item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(window: int) -> list[float]:
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        accumulate_grad_batches=window,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Line()
    trainer.fit(model, DataLoader(TensorDataset(torch.tensor(batches)), batch_size=1))
    return model.gradients


def by_hand(window: int) -> list[float]:
    windows = [batches[start : start + window] for start in range(0, len(batches), window)]
    return [sum(rows) / len(rows) for rows in windows]


for window, expected in ((1, [1.0, 2.0, 4.0]), (2, [1.5, 2.0]), (6, [7 / 6])):
    found, means = trained(window), by_hand(window)
    print(f"lightning {lightning.__version__}: window {window}: gradients {found}, means over each window's batches {means}")
    assert torch.allclose(torch.tensor(found), torch.tensor(expected)), found
PY
