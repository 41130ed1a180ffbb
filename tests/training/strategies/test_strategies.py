"""Head probe, L2-SP, WiSE-FT, weight averaging, smoothing and weights of classes, the rate finder: all by option."""

from __future__ import annotations

import re
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.runs import events, last, newest
from tlearn import DigitsDataModule, TransferModule
from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run
from tlearn.models.losses import balanced_class_weights, compute_loss, pull_towards
from tlearn.models.soups.weights import interpolate
from tlearn.training.strategies.head_solver import solve_head
from tlearn.training.strategies.lr_finder import suggest_rate


@pytest.fixture
def pretrained(tlearn: Tlearn, small: str, tmp_path: Path) -> str:
    """A checkpoint trained on other digits: `runs/small/version_0`."""
    words = ["--data.classes", "[5, 6, 7, 8]", "--data.train_per_class", "40", "--trainer.max_epochs", "4"]
    assert tlearn("fit", "-c", small, *words).code == 0
    return str(tmp_path / "runs/small/version_0/checkpoints/last.ckpt")


def test_solved_head_separates_what_is_separable() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    features = torch.randn(300, 5, generator=generator) + 100 + 6 * torch.eye(5)[labels]
    solved = solve_head("classification", (features, labels), (features, labels), 3)
    assert solved.weight.shape == (3, 5)
    assert ((features @ solved.weight.T + solved.bias).argmax(dim=1) == labels).float().mean() > 0.98
    two = labels < 2
    solved = solve_head("classification", (features[two], labels[two]), (features[two], labels[two]), 2)
    assert solved.weight.shape == (2, 5)
    assert ((features[two] @ solved.weight.T + solved.bias).argmax(dim=1) == labels[two]).float().mean() > 0.98
    values = features[:, :1] * 2 + 7
    solved = solve_head("regression", (features, values), (features, values), 1)
    assert (features @ solved.weight.T + solved.bias - values).abs().max() < 0.3


def test_finetuning_starts_from_the_probes_accuracy(
    tlearn: Tlearn, small: str, pretrained: str, tmp_path: Path
) -> None:
    words = ["--model.weights", pretrained, "--model.optimizer.lr", "1e-30", "--trainer.max_epochs", "1"]
    answer = tlearn("fit", "-c", small, *words, "--model.head_init", "probe", "--model.freeze_backbone", "true")
    assert answer.code == 0, answer.err
    probe = re.search(r"by lbfgs, penalty \S+: val loss ([\d.]+) acc ([\d.]+) %", answer.err)
    assert probe
    assert float(probe[2]) > 80
    log = events(tmp_path, 1)
    assert 100 * newest(log, "val/acc") == pytest.approx(float(probe[2]), abs=0.05)
    assert newest(log, "val/loss") == pytest.approx(float(probe[1]), abs=1e-4)


def test_probe_solves_a_regression_too(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["--data.task", "regression", "--data.train_per_class", "null", "--trainer.max_epochs", "1"]
    words += ["--model.optimizer.lr", "1e-30", "--model.freeze_backbone", "true"]
    assert tlearn("fit", "-c", small, *words).code == 0
    assert tlearn("fit", "-c", small, *words, "--model.head_init", "probe").code == 0
    assert newest(events(tmp_path, 1), "val/r2") > 0.5 > newest(events(tmp_path, 0), "val/r2")


def test_pull_is_the_gradient_of_its_penalty() -> None:
    start = {"w": torch.tensor([1.0, 2.0]), "closed": torch.tensor([0.0])}
    parameters = {"w": torch.tensor([3.0, 1.0], requires_grad=True), "closed": torch.tensor([5.0])}
    (0.5 * 0.1 * (parameters["w"] - start["w"]).square().sum() + parameters["w"].sum()).backward()
    expected = parameters["w"].grad
    parameters["w"].grad = torch.ones(2)
    pull_towards(parameters, start, 0.1)
    torch.testing.assert_close(parameters["w"].grad, expected)


def test_l2_sp_holds_the_backbone_near_its_start_and_resumes(
    tlearn: Tlearn, small: str, pretrained: str, tmp_path: Path
) -> None:
    start = torch.load(pretrained, weights_only=True)["state_dict"]
    words = ["fit", "-c", small, "--model.weights", pretrained]
    for strength in ("null", "10.0"):
        assert tlearn(*words, "--model.l2_sp", strength, "--trainer.max_epochs", "4").code == 0

    def distance(version: int) -> float:
        state = last(tmp_path, version)["state_dict"]
        keys = [key for key in start if key.startswith("backbone") and "running" not in key and "num_" not in key]
        return float(sum((state[key] - start[key]).square().sum() for key in keys) ** 0.5)

    assert distance(2) < 0.5 * distance(1)
    assert tlearn(*words, "--model.l2_sp", "10.0", "--trainer.max_epochs", "2").code == 0
    assert tlearn(*words, "--model.l2_sp", "10.0", "--trainer.max_epochs", "4", "--ckpt_path", "last").code == 0
    whole, resumed = last(tmp_path, 2)["state_dict"], last(tmp_path, 3)["state_dict"]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_interpolation_meets_both_ends() -> None:
    start, tuned = {"w": torch.tensor([0.1]), "n": torch.tensor(3)}, {"w": torch.tensor([0.7]), "n": torch.tensor(5)}
    assert torch.equal(interpolate(start, tuned, 0.0)["w"], start["w"])
    assert torch.equal(interpolate(start, tuned, 1.0)["w"], tuned["w"])
    assert interpolate(start, tuned, 0.5)["w"] == pytest.approx(0.4)
    assert interpolate(start, tuned, 0.5)["n"] == 5


@pytest.mark.pictures
def test_wise_ft_writes_the_mixture_that_validation_likes_best(
    tlearn: Tlearn, small: str, pretrained: str, tmp_path: Path
) -> None:
    words = ["fit", "-c", small, "--model.weights", pretrained, "--model.head_init", "probe", "--model.wise_ft", "true"]
    answer = tlearn(*words, "--model.optimizer.lr", "0.3", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    pattern = (
        r"wise_ft: share ([\d.]+) of the fine-tuned weights, val/acc ([\d.]+) \(start ([\d.]+), fine-tuned ([\d.]+)"
    )
    found = re.search(pattern, answer.out)
    assert found
    share, best, start, tuned = map(float, found.groups())
    assert best >= max(start, tuned)
    assert tuned == pytest.approx(newest(events(tmp_path, 1), "val/acc"), abs=1e-4)
    mixed, fine = last(tmp_path, 1, "wise_ft"), last(tmp_path, 1, "best")
    tuned_state = {name: fine["state_dict"][name] for name in fine["tlearn_start"]}
    for name, value in interpolate(fine["tlearn_start"], tuned_state, share).items():
        assert torch.equal(mixed["state_dict"][name], value), name
    answer = tlearn("fit", "-c", small, "--ckpt_path", "wise_ft")
    assert answer.code == 2
    assert "a mixture has no training to go on with; to start from it: --model.weights" in answer.err
    answer = tlearn("validate", "-c", small, "--ckpt_path", "wise_ft")
    assert answer.code == 0, answer.err
    assert float(answer.result["accuracy"].split(" %")[0]) == pytest.approx(100 * best, abs=0.05)


def test_smoothing_and_weights_change_the_training_loss_alone(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    still = ["--model.optimizer.lr", "1e-30", "--trainer.max_epochs", "1", "--model.freeze_backbone", "true"]
    assert tlearn("fit", "-c", small, *still).code == 0
    assert tlearn("fit", "-c", small, *still, "--model.label_smoothing", "0.3").code == 0
    assert tlearn("fit", "-c", small, *still, "--model.class_weights", "[1.0, 2.0, 30.0]").code == 0
    losses = [[newest(events(tmp_path, version), f"{part}/loss") for version in range(3)] for part in ("train", "val")]
    assert len(set(losses[0])) == 3
    assert len(set(losses[1])) == 1


def test_balanced_weights_are_scikit_learns() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    weights = balanced_class_weights(labels, 3)
    assert weights.tolist() == pytest.approx([4 / 9, 4 / 3, 0.0])
    output = torch.zeros(4, 3)
    assert compute_loss("classification", output, labels, class_weights=weights) == pytest.approx(1.0986, abs=1e-3)


class Rates(Callback):
    """Keep the groups' rates and a copy of the network before the first step."""

    groups: ClassVar[list[dict[str, float]]] = []
    network: ClassVar[list[dict[str, Tensor]]] = []
    modes: ClassVar[list[Counter[bool]]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, TransferModule)
        if trainer.global_step == 0:
            self.groups.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})
            self.network.append({name: value.clone() for name, value in pl_module.state_dict().items()})
            self.modes.append(Counter(part.training for part in pl_module.backbone.modules()))


CYCLE = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "1e-5"]


@pytest.mark.parametrize(
    "scheduler",
    [
        [],
        ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "1"],
        [*CYCLE, "--model.lr_scheduler.total_steps", "6"],
    ],
)
def test_finder_keeps_ratios_and_leaves_the_network_as_it_was(
    scheduler: list[str], tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    Rates.groups.clear()
    Rates.network.clear()
    Rates.modes.clear()
    words = ["fit", "-c", small, "--trainer.callbacks+=tests.training.strategies.test_strategies.Rates", *scheduler]
    words += ["--model.unfreeze", "{layer1: 1}", "--model.lr_scales", "{layer1: 0.1}", "--model.optimizer.lr", "1e-5"]
    assert tlearn(*words).code == 0
    answer = tlearn(*words, "--find_lr")
    assert answer.code == 0, answer.err
    found = re.search(r"find_lr: ([\d.e+-]+) times the config's rates", answer.err)
    assert found
    plain, tuned = Rates.groups
    assert tuned["head"] > 10 * plain["head"]
    assert tuned["layer1"] / tuned["head"] == pytest.approx(0.1)
    if "OneCycleLR" in scheduler:  # what was found is the peak, not the start
        peak = last(tmp_path, 1)["optimizer_states"][0]["param_groups"][-1]["max_lr"]
        assert peak == pytest.approx(25 * tuned["head"])
        assert peak < 1
    assert all(torch.equal(value, Rates.network[1][name]) for name, value in Rates.network[0].items())
    assert Rates.modes[0] == Rates.modes[1]
    assert newest(events(tmp_path, 1), "found_lr/head") == pytest.approx(tuned["head"])
    if "StepLR" in scheduler:
        rates = [point.value for point in events(tmp_path, 1).Scalars("lr-SGD/head")]
        assert rates == pytest.approx([tuned["head"], tuned["head"] * 0.1])


def test_a_tenth_of_the_rate_with_the_lowest_loss_is_suggested() -> None:
    rates = [10.0 ** (power / 10) for power in range(-70, 10)]
    losses = [2.3 if rate < 1e-3 else 1.0 if rate < 0.1 else 9.0 for rate in rates]
    assert suggest_rate(rates, losses) == pytest.approx(0.1 * 0.1, rel=0.3)
    assert suggest_rate(rates, [float(step) for step in range(80)]) is None


EMA = ["--trainer.callbacks+=EMAWeightAveraging", "--trainer.callbacks.decay", "0.9"]


def test_a_copy_for_averaging_holds_no_data(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "--config", small, "--trainer.fast_dev_run", "true", "--model.lr_scheduler", "StepLR"]
    cli = run(split_arguments([*words, "--model.lr_scheduler.step_size", "1"]))
    for part in (cli.datamodule, cli.trainer):
        monkeypatch.setattr(type(part), "__deepcopy__", lambda *_: pytest.fail("copied"), raising=False)
    copied = deepcopy(cli.model)
    assert copied._optimizer is cli.model._optimizer  # functions, which are shared


def test_averaging_cannot_begin_at_a_resume(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1").code == 0
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "2", "--ckpt_path", "last", *EMA)
    assert answer.code == 2
    assert "the checkpoint was written without averaging" in answer.err


@pytest.mark.parametrize("scheme", [["--model.freeze_backbone", "true"], ["--model.unfreeze", "{layer1: 1}"]])
def test_averaging_and_clipping_stand_beside_freezing_and_resume(
    scheme: list[str], tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    words = ["fit", "-c", small, *scheme, *EMA, "--trainer.gradient_clip_val", "0.1"]
    for more in (["3"], ["2"], ["3", "--ckpt_path", "last"]):
        answer = tlearn(*words, "--trainer.max_epochs", *more)
        assert answer.code == 0, answer.err
    whole, resumed = last(tmp_path, 0)["state_dict"], last(tmp_path, 1)["state_dict"]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert tlearn("fit", "-c", small, *scheme, "--trainer.max_epochs", "3").code == 0
    plain = last(tmp_path, 2)["state_dict"]
    assert not torch.equal(plain["head.weight"], whole["head.weight"])
    assert torch.equal(plain["backbone.conv1.weight"], whole["backbone.conv1.weight"])
    assert torch.equal(plain["backbone.bn1.running_var"], whole["backbone.bn1.running_var"])


def test_balanced_weights_stand_beside_averaging(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["--model.class_weights", "balanced", "--trainer.max_epochs", "2", "--data.train_per_class", "null"]
    answer = tlearn("fit", "-c", small, *words, *EMA)
    assert answer.code == 0, answer.err
    mean = last(tmp_path, 0)["state_dict"]["preprocess.mean"]
    assert mean.tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_a_resume_does_not_lose_the_average(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, *EMA, "--trainer.max_epochs", "1").code == 0
    words = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss", "--trainer.max_epochs", "2"]
    answer = tlearn("fit", "-c", small, *words, "--ckpt_path", "last")
    assert answer.code == 2
    assert "the checkpoint holds averaged weights; a resume needs the callback that averages" in answer.err


def test_options_that_act_through_callbacks_are_not_lost_from_python() -> None:
    data = DigitsDataModule(classes=[0, 1], train_per_class=4, size_px=16)
    model = TransferModule(2, data.class_names, weights=None, tap="stem", head_init="probe")
    trainer = Trainer(max_epochs=1, barebones=True, accelerator="cpu")
    with pytest.raises(TlearnError, match=r"head_init: probe acts .* callbacks=tlearn\.callbacks_for"):
        trainer.fit(model, data)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.wise_ft", "true"], "model.wise_ft mixes in the probe's head; set model.head_init to probe"),
        (["--model.head_init", "probe", "--model.head_hidden", "[8]"], "model.head_init: probe solves a linear head"),
        (["--model.l2_sp", "0.1"], "model.l2_sp pulls towards pretrained weights, but model.weights is null"),
        (["--model.class_weights", "[1.0]"], "lists 1 weights, the data have 3 classes (0, 1, 2)"),
        (
            ["--data.task", "regression", "--data.train_per_class", "null", "--model.label_smoothing", "0.1"],
            "model.label_smoothing needs one class an image",
        ),
    ],
)
def test_contradictions_are_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
