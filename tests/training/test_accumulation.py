"""Accumulated gradients are means over the batches of their window, also of an epoch's last, which may lack some."""

from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from tests.conftest import Tlearn
from tests.helpers.python_runs import Endless
from tests.helpers.runs import EVERY_STEP, assert_same, last
from tests.helpers.two_processes import CONFIG, TWO, assert_same_weights, done
from tlearn import TransferModule
from tlearn.base.types import Batch
from tlearn.models.losses import compute_loss
from tlearn.training.exact_resume import window_factor

LR = 0.05
WORDS = ["--model.optimizer.lr", str(LR), "--model.optimizer.momentum", "0", "--trainer.log_every_n_steps", "1"]


class Record(Callback):
    """Keep the network as it starts, and the batches that it sees."""

    start: ClassVar[TransferModule]
    batches: ClassVar[list[Batch]] = []
    norms: ClassVar[list[float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer_of, pl_module._trainer = pl_module._trainer, None
        type(self).start = deepcopy(pl_module)  # type: ignore[assignment]
        pl_module._trainer = trainer_of
        self.batches.clear()
        self.norms.clear()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.batches.append(Batch(*(part.clone() for part in batch)))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        grads = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))))


def by_hand(window: int, per_epoch: int, clip: float | None = None) -> tuple[dict[str, Tensor], list[float]]:
    """Plain steps on the mean of each window's losses: the weights after them, and the norms before clipping."""
    module, norms = Record.start.train(), []
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    epochs = [Record.batches[at : at + per_epoch] for at in range(0, len(Record.batches), per_epoch)]
    for batches in epochs:
        for at in range(0, len(batches), window):
            part = batches[at : at + window]
            losses = [compute_loss(module.task, module(batch.images), batch.targets) for batch in part]
            module.zero_grad()
            torch.stack(losses).mean().backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, clip or float("inf"))
            norms.append(float(norm))
            with torch.no_grad():
                for parameter in parameters:
                    assert parameter.grad is not None
                    parameter.sub_(parameter.grad, alpha=LR)
    return {name: value for name, value in module.state_dict().items() if name.startswith(("head", "backbone"))}, norms


@pytest.mark.parametrize(
    ("window", "words", "clip"),
    [
        (2, [], None),  # windows of 2 and 1
        (8, [], None),  # one window, of 3
        (2, ["--trainer.gradient_clip_val", "0.1"], 0.1),
        (2, ["--model.freeze_backbone", "true"], None),  # cached features
    ],
    ids=["2", "8", "clipped", "features"],
)
def test_the_last_window_is_the_mean_of_its_batches(
    window: int, words: list[str], clip: float | None, tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    callback = ["--trainer.callbacks+=tests.training.test_accumulation.Record"]
    words = [*WORDS, *words, "--trainer.accumulate_grad_batches", str(window), "--trainer.max_epochs", "2"]
    answer = tlearn("fit", "-c", small, *words, *callback)
    assert answer.code == 0, answer.err
    weights, norms = by_hand(window, 3, clip)
    assert Record.norms == pytest.approx(norms, rel=1e-4)
    trained = last(tmp_path)["state_dict"]
    for name, value in weights.items():
        torch.testing.assert_close(trained[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_fewer_batches_than_the_data_have(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    # six batches, of which five are trained on
    callback = ["--trainer.callbacks+=tests.training.test_accumulation.Record", "--data.batch_size", "4"]
    words = [*WORDS, "--trainer.accumulate_grad_batches", "2", "--trainer.limit_train_batches", "5"]
    assert tlearn("fit", "-c", small, *words, *callback, "--trainer.max_epochs", "1").code == 0
    weights, norms = by_hand(2, 5)
    assert Record.norms == pytest.approx(norms, rel=1e-4)
    assert len(norms) == 3
    torch.testing.assert_close(last(tmp_path)["state_dict"]["head.weight"], weights["head.weight"])


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_from_python_and_without_a_length(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = TransferModule(
        num_classes=3, weights=None, tap="layer1", optimizer=lambda groups: torch.optim.SGD(groups, lr=LR)
    )
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "default_root_dir": tmp_path}
    trainer = Trainer(max_epochs=1, accumulate_grad_batches=2, callbacks=[Record()], **quiet)
    trainer.fit(module, DataLoader(Endless(), batch_size=None))
    weights, norms = by_hand(2, 3)
    assert Record.norms == pytest.approx(norms, rel=1e-4)
    torch.testing.assert_close(module.state_dict()["head.weight"], weights["head.weight"])


def test_the_loss_of_a_step_is_not_divided_by_the_window(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for window in ("1", "2"):
        rate = ["--model.optimizer.lr", "1e-30", "--model.batch_norm", "fixed", "--trainer.log_every_n_steps", "1"]
        words = [*rate, "--trainer.accumulate_grad_batches", window]
        assert tlearn("fit", "-c", small, *words, "--trainer.max_epochs", "1").code == 0
    losses = []
    for version in (0, 1):
        with (tmp_path / f"runs/small/version_{version}/metrics.csv").open(newline="") as file:
            losses.append([float(row["train/loss_step"]) for row in csv.DictReader(file) if row["train/loss_step"]])
    assert losses[1] == pytest.approx([losses[0][1], losses[0][2]])  # of the batch that each step ended with


@pytest.mark.slow
def test_two_processes_do_what_one_does(tlearn: Tlearn) -> None:
    """39 images in batches of 8: windows of two, two and one, the last of 7 images, 4 and 3 of them."""
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(CONFIG.replace("log_every", "accumulate_grad_batches: 2, log_every"))
    answer = tlearn("fit", "-c", "one.yaml")
    assert answer.code == 0, answer.err
    done("fit", "-c", "two.yaml", *TWO)
    assert_same_weights("two", "one")


@pytest.mark.parametrize(
    ("batches", "window", "factor"), [(3, 2, 2.0), (4, 2, 1.0), (5, 4, 4.0), (7, 4, 4 / 3), (2, 8, 4.0), (1, 1, 1.0)]
)
def test_window_factor(batches: int, window: int, factor: float) -> None:
    assert window_factor(batches, window) == factor


SCHEDULED = ["--trainer.callbacks+=GradientAccumulationScheduler", "--trainer.callbacks.scheduling={0: 2, 1: 1}"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # of the callback that keeps every step
@pytest.mark.filterwarnings("ignore:When using `Trainer")  # its hooks are called once a step: what we want
def test_windows_that_change_between_epochs(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    """Three steps in the first epoch, six in the second: counted so, and gone on with so inside an epoch."""
    cycle = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"]
    words = ["fit", "-c", small, *cycle, "--trainer.max_epochs", "2", *EVERY_STEP, *SCHEDULED, "--data.batch_size", "4"]
    answer = tlearn(*words, "--model.lr_scheduler.total_steps", "7")
    assert answer.code == 2
    assert "OneCycleLR ends after 7 steps, the run takes 9: set" in answer.err
    words += ["--model.lr_scheduler.total_steps", "9"]
    assert tlearn(*words).code == 0
    for number, step in enumerate((1, 5), 1):
        answer = tlearn(*words, "--ckpt_path", f"runs/small/version_0/checkpoints/step={step}.ckpt")
        assert answer.code == 0, answer.err
        assert_same(last(tmp_path), last(tmp_path, number))
