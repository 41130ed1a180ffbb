#!/usr/bin/env bash
# lightning 2.6.6: resuming a run that max_time ended, with the same max_time, trains no batch and returns as if all were well.
#
# Behaviour: the Timer behind max_time keeps the elapsed time in the checkpoint and counts on from there
# (lightning/pytorch/callbacks/timer.py, lines 190-196), and checks it when fit starts (lines 170-175). A job that is started
# again and again with the same limit, as on a cluster, gets no further. There is no warning and no error, only the line of
# level INFO that also ends a run that did train.
# Wanted: a warning that nothing was trained because the limit was used up before, or a limit for each run.
# Seen: 2 s: 81 batches of 0.02 s; resumed with 2 s: 0 batches, FINISHED, warnings []; resumed with 4 s: 81 more.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightning==2.6.6 torch==2.14.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import logging
import time
import warnings
from datetime import timedelta

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.batches = 0

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        self.batches += 1
        time.sleep(0.02)
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((record.levelname, record.getMessage()))


lines = Lines()
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).addHandler(lines)


def fitted(what: str, seconds: int, checkpoint: str | None) -> tuple[int, lightning.Trainer]:
    lines.seen.clear()
    model = Line()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1_000_000,
            max_time=timedelta(seconds=seconds),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, DataLoader(TensorDataset(torch.ones(4, 1))), ckpt_path=checkpoint)
    about = [str(each.message) for each in warned] + [text for level, text in lines.seen if level not in ("DEBUG", "INFO")]
    about = [text for text in about if any(word in text.lower() for word in ("time", "stop", "limit", "elapsed"))]
    told = [text for _, text in lines.seen if "Time limit" in text]
    ended = f"{model.batches} batches, {trainer.state.status.name}; INFO {told}; warnings {about}"
    print(f"lightning {lightning.__version__}: {what}: {ended}")
    assert trainer.state.finished
    assert not about
    return model.batches, trainer


trained, first = fitted("first run, max_time 2 s", 2, None)
assert trained > 0
first.save_checkpoint("ended.ckpt")
assert fitted("resumed, max_time 2 s", 2, "ended.ckpt")[0] == 0
assert fitted("resumed, max_time 4 s", 4, "ended.ckpt")[0] > 0
PY
