#!/usr/bin/env bash
# torch 2.14.1: clip_grad_norm_ with a negative max_norm turns the gradient around in place of an error.
#
# Behaviour: the coefficient max_norm / norm is held below 1, but not above 0 (torch/nn/utils/clip_grad.py, lines 164-168), so that
# max_norm=-1.0 scales the gradient to length 1 in the opposite direction, and the optimizer climbs. lightning 2.6.6 takes
# Trainer(gradient_clip_val=-1.0) without a word and clips nothing (lightning/pytorch/plugins/precision/precision.py, lines 151-152).
# Wanted: an error that names the negative value, in both.
# Seen: max_norm -1.0: [3, 4] -> [-0.6, -0.8]; gradient_clip_val -1.0: a step of rate 1 moved by [-3.0, -4.0], no warning.
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

for limit, expected in ((1.0, [0.6, 0.8]), (-1.0, [-0.6, -0.8])):
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    norm = torch.nn.utils.clip_grad_norm_(weight, max_norm=limit)
    print(f"torch {torch.__version__}: max_norm {limit}: [3.0, 4.0] of norm {norm.item()} -> {weight.grad.tolist()}")
    assert torch.allclose(weight.grad, torch.tensor(expected), atol=1e-5)


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return (self.weight * batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


for limit, expected in ((1.0, [-0.6, -0.8]), (-1.0, [-3.0, -4.0])):
    model = Line()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            gradient_clip_val=limit,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, DataLoader(TensorDataset(torch.tensor([[3.0, 4.0]]))))
    about = [str(each.message) for each in warned if "clip" in str(each.message)]
    moved = [round(value, 4) for value in model.weight.tolist()]
    print(f"lightning {lightning.__version__}: gradient_clip_val {limit}: a step of rate 1 moved by {moved}; warnings {about}")
    assert moved == expected
    assert not about
PY
