"""Losses and metrics are float32 sums in any precision, of a network in its right mode, whose weights are numbers."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.nn.functional import cross_entropy

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.not_a_number import spoil, spoilt
from tlearn.base.errors import TlearnError
from tlearn.models.metrics import EpochMetrics
from tlearn.training.module import TransferModule


def toy(**options: Any) -> package.DigitsDataModule:
    return package.DigitsDataModule(
        **{"classes": [0, 1, 2], "train_per_class": 8, "val_fraction": 0.2, "batch_size": 8, "size_px": 16, **options}
    )


def trainer_for(root: Path, **options: Any) -> Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    return Trainer(default_root_dir=root, **{"max_epochs": 1, "enable_checkpointing": False, **quiet, **options})


@pytest.mark.parametrize("precision", ["bf16-true", "bf16-mixed", "32-true"])
def test_the_logged_loss_is_that_of_the_logits_in_float32(tmp_path: Path, precision: str) -> None:
    """In bf16 three digits would be left, and 107 images could not be counted one by one."""
    torch.manual_seed(0)
    module = TransferModule(3, weights=None, tap="layer1")
    trainer = trainer_for(tmp_path, precision=precision)
    trainer.fit(module, datamodule=toy())
    last = module.evaluation.last
    assert last is not None
    logits, targets = last.logits, last.targets
    found = trainer.callback_metrics
    assert found["val/loss"].dtype == torch.float32
    assert float(found["val/loss"]) == pytest.approx(float(cross_entropy(logits, targets)), rel=1e-6)
    right = float((logits.argmax(dim=1) == targets).double().mean())
    assert float(found["val/acc"]) == pytest.approx(right, rel=1e-6)
    per_class = [float((logits[targets == k].argmax(dim=1) == k).double().mean()) for k in range(3)]
    assert float(found["val/acc_macro"]) == pytest.approx(sum(per_class) / 3, rel=1e-6)
    assert float(found["train/loss"]) != float(found["train/loss"].bfloat16())


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_sums_stay_float32_wherever_the_network_goes(half: torch.dtype) -> None:
    """16-true held sums in float16: a loss of 40 for 2,000 images was infinite."""
    metrics = EpochMetrics("regression", 1, "val").to(half)
    for _ in range(20):
        metrics.update(torch.full((100, 1), 6.0, dtype=half), torch.tensor(40.03), torch.zeros(100, 1))
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found["val/loss"] == pytest.approx(40.03, rel=1e-6)
    assert (found["val/mae"], found["val/rmse"]) == (6, 6)


def test_the_command_line_logs_all_digits(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "--config", small, "--trainer.precision", "bf16-true", "--trainer.max_epochs", "1").code == 0
    with Path("runs/small/version_0/metrics.csv").open() as file:
        losses = [row[name] for row in csv.DictReader(file) for name in ("train/loss", "val/loss") if row.get(name)]
    assert len(losses) == 2
    for loss in losses:
        assert float(loss) != float(torch.tensor(float(loss)).bfloat16()), loss


@pytest.mark.parametrize("verb", ["test", "validate"])
def test_a_checkpoint_that_is_no_number_is_not_judged(tlearn: Tlearn, small: str, verb: str) -> None:
    """As predict refuses it; it came out as a loss of nan and an accuracy of chance, with return code 0."""
    assert tlearn("fit", "--config", small, "--trainer.max_epochs", "1").code == 0
    path = spoilt(Path())
    answer = tlearn(verb, "--ckpt_path", str(path))
    assert answer.code == 2
    assert re.search(r"error: \S*spoilt\.ckpt: head\.bias is not finite \(NaN or infinite\); take another", answer.err)
    assert "/loss" not in answer.out


def test_what_is_no_number_is_not_judged_from_python_either(tmp_path: Path) -> None:
    module = TransferModule(3, weights=None, tap="layer1")
    spoil(module)
    for judge in ("test", "validate"):
        with pytest.raises(TlearnError, match=r"^the network: head\.bias is not finite"):
            getattr(trainer_for(tmp_path), judge)(module, datamodule=toy(), verbose=False)
    module = TransferModule(3, weights=None, tap="layer1")
    module.head.register_forward_hook(
        lambda _, given, __: torch.full((len(given[0]), 3), math.inf)
    )  # finite weights, other answers
    with pytest.raises(TlearnError, match=r"^the loss of the network is (nan|inf)"):
        trainer_for(tmp_path).test(module, datamodule=toy(), verbose=False)


def modes_while_training(module: TransferModule, root: Path) -> dict[str, bool]:
    seen: dict[str, bool] = {}
    names = {name: part for name, part in module.named_modules() if isinstance(part, (nn.BatchNorm2d, nn.Dropout))}
    hook = module.head.register_forward_pre_hook(
        lambda *_: (
            seen.update({name: part.training for name, part in names.items()}) if torch.is_grad_enabled() else None
        )
    )
    trainer_for(root, num_sanity_val_steps=1).fit(module, datamodule=toy())
    hook.remove()
    return seen


@pytest.mark.parametrize("freeze_until", [None, "stem"])
def test_a_module_in_eval_mode_trains_in_train_mode(
    tmp_path: Path, said: pytest.LogCaptureFixture, freeze_until: str | None
) -> None:
    """Lightning keeps the mode: BatchNorm and dropout stood still without a word. Frozen parts still do."""
    modes, statistics = [], []
    for is_eval in (False, True):
        torch.manual_seed(0)
        module = TransferModule(3, weights=None, tap="layer1", head_dropout=0.5, freeze_until=freeze_until)
        modes.append(modes_while_training(module.eval() if is_eval else module, tmp_path))
        statistics.append(module.backbone.state_dict())
    assert modes[0] == modes[1]
    assert [name for name, mode in modes[1].items() if not mode] == ([] if freeze_until is None else ["backbone.bn1"])
    assert all(torch.equal(value, statistics[1][name]) for name, value in statistics[0].items())
    assert said.text.count("the module was in eval mode: it trains in train mode, but for what is frozen") == 1


def test_a_network_that_load_opened_says_how_to_train_on(tmp_path: Path) -> None:
    module = TransferModule(3, weights=None, tap="layer1").requires_grad_(False).eval()
    with pytest.raises(TlearnError, match=r"requires a gradient, as in one that load\(\) opened; start from its file"):
        trainer_for(tmp_path).fit(module, datamodule=toy())
