"""What of a schedule a run will not come to is said before it begins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim import lr_scheduler as schedulers
from torch.utils.data import DataLoader

from tests.conftest import Tlearn
from tests.helpers.python_runs import Endless
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.run_checks import RunLength, check_length

ONE_CYCLE = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"]
COSINE = ["--model.lr_scheduler", "CosineAnnealingLR", "--model.lr_scheduler.T_max"]


def cycle(steps: int) -> list[str]:
    return [*ONE_CYCLE, "--model.lr_scheduler.total_steps", str(steps)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            [],
            "OneCycleLR ends after 5 steps, the run takes 6 (3 an epoch): set model.lr_scheduler.init_args.total_steps",
        ),
        (["--trainer.accumulate_grad_batches", "2", "--trainer.max_epochs", "4"], "the run takes 8 (2 an epoch)"),
        (["--trainer.limit_train_batches", "2", "--trainer.max_epochs", "3"], "the run takes 6 (2 an epoch)"),
        (["--trainer.limit_train_batches", "0.67", "--trainer.max_epochs", "3"], "the run takes 6 (2 an epoch)"),
        (["--trainer.max_epochs", "9", "--trainer.max_steps", "7"], "the run takes 7 (3 an epoch)"),
        (["--model.freeze_backbone", "true"], "the run takes 6 (3 an epoch)"),  # cached features
    ],
)
def test_a_cycle_too_short_is_refused(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit" if words else "plan", "-c", small, *cycle(5), *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert not Path(".cache").exists()  # nothing was computed
    right = re.search(r"set model.lr_scheduler.init_args.total_steps to (\d+)", answer.err)
    assert right is not None
    answer = tlearn("fit", "-c", small, *cycle(int(right[1])), *words)
    assert answer.code == 0, answer.err
    assert "OneCycleLR" not in answer.err


def test_a_cycle_that_is_to_go_on_says_what_can_be_done(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, *cycle(6)).code == 0
    answer = tlearn("fit", "-c", small, *cycle(6), "--ckpt_path", "last", "--trainer.max_epochs", "4")
    assert answer.code == 2
    assert "OneCycleLR's cycle ends after 6 steps, and the run would go on to 12" in answer.err
    found = re.search(r"--model.weights (\S+) \(without --ckpt_path\)", answer.err)
    assert found is not None
    answer = tlearn("fit", "-c", small, *cycle(6), "--model.weights", found[1])
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (cycle(9), "OneCycleLR comes down after 9 steps, and the run ends after 6 (3 an epoch)"),
        ([*COSINE, "1"], "CosineAnnealingLR rises again after T_max 1 epochs, and the run takes 2: set model.lr_sch"),
        ([*COSINE, "6"], "to 2; it counts epochs: for the run's 6 steps set model.lr_interval to step"),
        ([*COSINE, "5", "--model.lr_interval", "step"], "rises again after T_max 5 steps, and the run takes 6 (3 an"),
        (
            ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "2"],
            "StepLR with its step_size needs a run of 3 epochs, this one takes 2",
        ),
        (
            ["--model.lr_scheduler", "MultiStepLR", "--model.lr_scheduler.milestones", "[1, 5]"],
            "MultiStepLR with its milestones needs a run of 6 epochs, this one takes 2: it does not come to its end",
        ),
        (["--model.warmup_steps", "6"], "model.warmup_steps is 6, the run takes 6 steps: it never trains at its full"),
        (["--model.warmup_epochs", "3"], "model.warmup_epochs is 3, the run takes 2 epochs"),
    ],
)
def test_what_does_not_fit_is_a_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 0, answer.err
    assert expected in answer.err
    assert answer.err.count(expected) == 1


@pytest.mark.parametrize(
    "words",
    [
        [*COSINE, "2"],
        [*COSINE, "6", "--model.lr_interval", "step"],
        ["--model.lr_scheduler", "MultiStepLR", "--model.lr_scheduler.milestones", "[1]"],
        ["--model.warmup_steps", "5"],
        [*cycle(2), "--trainer.fast_dev_run", "true"],  # a trial of one step
    ],
)
def test_what_fits_is_no_line(words: list[str], tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 0, answer.err
    assert not re.search("LR|warmup", answer.err)


def test_from_python_with_loaders_of_ones_own(tmp_path: Path) -> None:
    batches: Any = list(Endless())  # three, whose number a list tells
    module = TransferModule(
        num_classes=3,
        weights=None,
        tap="layer1",
        lr_scheduler=lambda optimizer: schedulers.OneCycleLR(optimizer, 0.01, total_steps=5),
    )
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {
        "enable_model_summary": False,
        "accelerator": "cpu",
        "default_root_dir": tmp_path,
        "num_sanity_val_steps": 0,
    }
    loader: DataLoader[Any] = DataLoader(batches, batch_size=None)
    with pytest.raises(TlearnError, match="OneCycleLR ends after 5 steps, the run takes 6"):
        Trainer(max_epochs=2, **quiet).fit(module, loader, loader)


def test_schedulers_that_have_an_end() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))

    def lines(make: Any, units: int) -> list[str]:
        return check_length(make(torch.optim.SGD([parameter], lr=0.1)), "epoch", RunLength(units, units * 3, 3))

    made: dict[Any, int] = {
        lambda o: schedulers.LinearLR(o, total_iters=4): 4,
        lambda o: schedulers.ConstantLR(o, total_iters=4): 4,
        lambda o: schedulers.PolynomialLR(o, total_iters=4): 4,
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=4): 4,
        lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=2): 4,
        lambda o: schedulers.StepLR(o, 3): 4,
        lambda o: schedulers.ExponentialLR(o, 0.9): 0,
    }
    for make, least in made.items():
        assert lines(make, max(least, 1)) == []
        if least:
            assert len(lines(make, least - 1)) == 1
    endless = check_length(
        schedulers.OneCycleLR(torch.optim.SGD([parameter], lr=0.1), 0.1, total_steps=7),
        "step",
        RunLength(None, None, 3),
    )
    assert endless == ["OneCycleLR fails after its 7 steps; set trainer.max_steps 7, or less"]
