"""A warm-up before any scheduler: true rates, ratios kept, the same bits after a resume (N27)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.runs import EVERY_STEP, SCHEDULERS, assert_same, curve, last, planned
from tests.helpers.watch import Watch
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.optimizer import rising_share

WATCH = ["--trainer.callbacks+=tests.helpers.watch.Watch"]
COSINE = ["--model.lr_scheduler", "CosineAnnealingLR", "--model.lr_scheduler.T_max", "4"]
# Four epochs of three steps, of which a scheduler by epochs counts the epochs: the rates of head and whole run.
WITHOUT = {
    "none": [0.01] * 12,
    "step": [0.01] * 3 + [0.001] * 3 + [0.0001] * 3 + [0.00001] * 3,
    "plateau": [0.01] * 6 + [0.001] * 3 + [0.0001] * 3,
}


@pytest.mark.parametrize(
    ("scheduler", "warm_up"),
    [
        ("none", ["--model.warmup_epochs", "1"]),
        ("step", ["--model.warmup_steps", "4"]),
        ("plateau", ["--model.warmup_steps", "4"]),
    ],
)
def test_rates_rise_to_those_of_the_scheduler(
    scheduler: str, warm_up: list[str], tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    Watch.rates.clear()
    words = [*SCHEDULERS[scheduler], *warm_up, "--model.lr_scales", "{backbone: 0.1}", "--trainer.max_epochs", "4"]
    answer = tlearn("fit", "-c", small, *words, *WATCH, "--trainer.log_every_n_steps", "1")
    assert answer.code == 0, answer.err
    steps = 4 if "--model.warmup_steps" in warm_up else 3
    shares = [min(1.0, (step + 1) / (steps + 1)) for step in range(12)]
    head = [rate * share for rate, share in zip(WITHOUT[scheduler], shares, strict=True)]
    assert [rates["head"] for rates in Watch.rates] == pytest.approx(head)
    assert [rates["backbone"] for rates in Watch.rates] == pytest.approx([rate / 10 for rate in head])
    assert curve(tmp_path, "lr-SGD/head") == pytest.approx(dict(enumerate(head)))  # the curve tells what was used
    assert last(tmp_path)["optimizer_states"][0]["param_groups"][1]["lr"] <= 0.01


def test_a_warm_up_and_that_of_a_stage_and_accumulation(tlearn: Tlearn, small: str) -> None:
    Watch.rates.clear()
    words = ["--model.warmup_steps", "5", "--model.unfreeze", "{layer1: 1}", "--model.unfreeze_warmup_steps", "1"]
    words += ["--trainer.accumulate_grad_batches", "2", "--trainer.max_epochs", "3"]  # two steps an epoch
    answer = tlearn("fit", "-c", small, *words, *WATCH)
    assert answer.code == 0, answer.err
    shares = [min(1.0, (step + 1) / 6) for step in range(6)]
    assert [rates["head"] for rates in Watch.rates] == pytest.approx([0.01 * share for share in shares])
    layer1 = [rates["layer1"] for rates in Watch.rates][2:]
    assert layer1 == pytest.approx([0.01 * shares[2] / 2, *(0.01 * share for share in shares[3:])])


RESUMES = {
    "cosine": [*COSINE, "--model.warmup_steps", "5"],
    "plateau": [*SCHEDULERS["plateau"], "--model.warmup_epochs", "2"],
    "by steps": [*COSINE[:-1], "12", "--model.lr_interval", "step", "--model.warmup_steps", "7"],
}


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # of the callback that keeps every step
@pytest.mark.parametrize(
    "variant", ["cosine", *(pytest.param(name, marks=pytest.mark.slow) for name in list(RESUMES)[1:])]
)
def test_resumed_within_the_warm_up_equals_uninterrupted(
    variant: str, tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    words = ["fit", "-c", small, *RESUMES[variant], "--trainer.max_epochs", "4"]
    answer = tlearn(*words, *EVERY_STEP)
    assert answer.code == 0, answer.err
    whole = last(tmp_path)
    for number, step in enumerate((2, 3), 1):  # inside an epoch, and at its end
        answer = tlearn(*words, "--ckpt_path", f"runs/small/version_0/checkpoints/step={step}.ckpt")
        assert answer.code == 0, answer.err
        assert_same(whole, last(tmp_path, number))


def test_the_plan_shows_it(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    plan = planned(tlearn, tmp_path, "-c", small, *COSINE, "--model.warmup_steps", "5", "--trainer.max_epochs", "4")
    cosine = [0.01, 0.00853553, 0.005, 0.00146447]
    shares = [1 / 6, 4 / 6, 1, 1]
    wanted = [rate * share for rate, share in zip(cosine, shares, strict=True)]
    assert plan["groups"][0]["learning_rates"] == pytest.approx(wanted, rel=1e-4)
    assert plan["warmup_steps"] == 5
    answer = tlearn("plan", "-c", small, "--model.warmup_epochs", "1")
    assert "the rates rise in the first 3 steps to those of the scheduler" in answer.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.warmup_steps", "2", "--model.warmup_epochs", "1"], "are one warm-up; give one"),
        (["--model.warmup_steps", "2", *SCHEDULERS["one_cycle"]], "OneCycleLR has a warm-up of its own"),
        (["--model.lr_interval", "step"], "model.lr_interval step says when model.lr_scheduler steps, but none is set"),
        (["--model.lr_interval", "step", *SCHEDULERS["plateau"]], "ReduceLROnPlateau follows a metric of an epoch"),
        (
            ["--model.warmup_steps", "2", "--model.head_solver", "ridge", "--model.freeze_backbone", "true"],
            "model.head_solver ridge takes no steps",
        ),
        (
            ["--model.lr_scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"],
            "take lightning.pytorch.cli.ReduceLROnPlateau",
        ),
        (["--model.lr_scheduler", "ReduceLROnPlateau"], "take lightning.pytorch.cli.ReduceLROnPlateau"),
        (["--model.lr_scheduler", "SequentialLR"], "use model.warmup_steps or model.warmup_epochs"),
        (["--model.lr_scheduler=ChainedScheduler"], "use model.warmup_steps or model.warmup_epochs"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2, answer.err
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert not list(Path("runs/small").glob("*"))


def test_nested_schedulers_in_yaml_name_the_option(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    """The reproducer of N27."""
    nested = (
        "model: {lr_scheduler: {class_path: SequentialLR, init_args: {schedulers: [{class_path: LinearLR, init_args: "
        "{total_iters: 2}}, {class_path: CosineAnnealingLR, init_args: {T_max: 4}}], milestones: [2]}}}"
    )
    (tmp_path / "nested.yaml").write_text(nested)
    answer = tlearn("fit", "-c", small, "-c", "nested.yaml")
    assert answer.code == 2
    assert "SequentialLR holds schedulers that a config cannot give" in answer.err
    assert "use model.warmup_steps or model.warmup_epochs" in answer.err
    answer = tlearn("fit", "-c", small, "-c", "nested.yaml", *SCHEDULERS["step"])  # what is typed wins
    assert answer.code == 0, answer.err


def test_a_sequence_of_schedulers_from_python() -> None:
    from torch.optim import lr_scheduler as schedulers

    def sequence(optimizer: torch.optim.Optimizer) -> Any:
        parts = [schedulers.LinearLR(optimizer, 0.1, total_iters=2), schedulers.CosineAnnealingLR(optimizer, 4)]
        return schedulers.SequentialLR(optimizer, parts, milestones=[2])

    module = TransferModule(num_classes=3, weights=None, tap="layer1", lr_scheduler=sequence, lr_interval="step")
    configured = module.configure_optimizers()
    assert configured["lr_scheduler"]["interval"] == "step"
    with pytest.raises(TlearnError, match="one warm-up"):
        TransferModule(num_classes=3, weights=None, tap="layer1", warmup_steps=3, warmup_epochs=1)


@pytest.mark.parametrize("value", [0, -3, 2.5, "many"])
def test_a_warm_up_is_a_number_of_steps(value: Any) -> None:
    with pytest.raises(TlearnError, match=r"model.warmup_steps: expected a whole number above 0, got"):
        TransferModule(num_classes=3, weights=None, tap="layer1", warmup_steps=value)
    with pytest.raises(TlearnError, match=r"unknown model.lr_interval 'steps'. Did you mean 'step'"):
        TransferModule(num_classes=3, weights=None, tap="layer1", lr_interval="steps")  # type: ignore[arg-type]


def test_rising_share() -> None:
    assert [rising_share(step, 3) for step in range(-1, 5)] == [1.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert rising_share(0, 0) == 1.0
