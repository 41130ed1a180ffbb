#!/usr/bin/env bash
# lightning 2.6.6: with RANK=1 left in the environment, a run on one device trains everything, and its logger writes nothing.
#
# Behaviour: rank_zero_only.rank is read from RANK, LOCAL_RANK or SLURM_PROCID at import, whatever the strategy
# (lightning/fabric/utilities/rank_zero.py, lines 35-50). A Trainer for one device has global_rank 0 and trains and saves, but
# whatever is wrapped by rank_zero_only is left out, metrics and warnings among them.
# Wanted: the strategy's rank, or a line that says that the environment names another.
# Seen: RANK=1: rank_zero_only 1, global_rank 0, is_global_zero True, 8 steps, a checkpoint and no metrics.csv; the same with
# LOCAL_RANK=1 and SLURM_PROCID=1; with none of them metrics.csv is there.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightning==2.6.6 torch==2.14.1
cd "$work"
unset RANK LOCAL_RANK SLURM_PROCID JSM_NAMESPACE_RANK
for variable in NONE RANK LOCAL_RANK SLURM_PROCID; do
    env "$variable=1" "$work/venv/bin/python" - "$variable" <<'PY'
import logging
import sys
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")  # too few workers
variable = sys.argv[1]


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


trainer = lightning.Trainer(
    accelerator="cpu",
    devices=1,
    max_epochs=2,
    log_every_n_steps=1,
    logger=CSVLogger(variable, name="", version=""),
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(4, 1))))
files = sorted(str(path.relative_to(variable)) for path in Path(variable).rglob("*") if path.is_file())
ranks = f"rank_zero_only {rank_zero_only.rank}, global_rank {trainer.global_rank}, is_global_zero {trainer.is_global_zero}"
print(f"lightning {lightning.__version__}: {variable}=1: {ranks}, {trainer.global_step} steps, files {files}")
assert (trainer.global_rank, trainer.world_size, trainer.global_step) == (0, 1, 8)
assert rank_zero_only.rank == (variable != "NONE")
assert files == ["checkpoints/epoch=1-step=8.ckpt", *(["metrics.csv"] if variable == "NONE" else [])]
PY
done
