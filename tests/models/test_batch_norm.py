"""`model.batch_norm: fixed` trains weights under the stored statistics, which stand still bit for bit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.runs import last
from tests.helpers.watch import SCHEDULE, WATCH, Watch
from tlearn import TransferModule

FIXED = ["--model.batch_norm", "fixed"]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
SOURCE = "source.ckpt"


@pytest.fixture
def source(tlearn: Tlearn, small: str, tmp_path: Path) -> list[str]:
    """The command line of a run that starts from weights whose statistics are not those of a new network."""
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1", "--trainer.default_root_dir", "source").code == 0
    Path("source/small/version_0/checkpoints/last.ckpt").rename(SOURCE)
    return ["-c", small, "--model.weights", str(tmp_path / SOURCE)]


def start() -> dict[str, Tensor]:
    return dict(torch.load(SOURCE, weights_only=True)["state_dict"])


@pytest.mark.parametrize("mode", ["fixed", "follows"])
def test_statistics_stand_while_all_weights_train(mode: str, tlearn: Tlearn, source: list[str], tmp_path: Path) -> None:
    answer = tlearn("fit", *source, "--model.batch_norm", mode)
    assert answer.code == 0, answer.err
    for stage in ("stem", "layer1"):
        assert re.search(rf"│ {stage} +│ +[\d,]+ │ +0 │ +1 │ +{mode} │", answer.out)
    end = last(tmp_path)["state_dict"]
    statistics = {name for name in end if name.endswith(STATISTICS)}
    assert len(statistics) == 15
    for name, value in start().items():
        if name.startswith("backbone."):  # the head starts new
            assert torch.equal(value, end[name]) is (mode == "fixed" and name in statistics), name


def test_network_without_frozen_parts_trains_as_it_is_used(tlearn: Tlearn, source: list[str], tmp_path: Path) -> None:
    # Where statistics stand, an image's answer hangs on no other image, in training as in validation.
    module = TransferModule(3, weights=None, tap="layer2", batch_norm="fixed")
    for name, value in module.backbone.named_buffers():
        if name.endswith("running_mean"):
            value.add_(0.1 * torch.rand_like(value))
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    together = module.train()(images)
    assert torch.allclose(together, torch.cat([module(image[None]) for image in images]), atol=1e-5)
    assert torch.equal(together, module.eval()(images))
    module.backbone.train()
    assert not module.backbone.get_submodule("layer1.0.bn1").training
    assert module.backbone.get_submodule("layer1").training  # only BatchNorm is held
    follows = TransferModule(3, weights=None, tap="layer2")
    assert not torch.allclose(follows.train()(images), follows.eval()(images), atol=1e-3)


def test_plan_says_it(tlearn: Tlearn, small: str) -> None:
    for mode in ("fixed", "follows"):
        assert tlearn("plan", "-c", small, *SCHEDULE, "--model.batch_norm", mode, "--out", "plan.json").code == 0
        groups = {group["name"]: group["batch_norm"] for group in json.loads(Path("plan.json").read_text())["groups"]}
        assert groups == {"layer1": mode, "stem": mode, "head": ""}
    answer = tlearn("plan", "-c", small, *FIXED)
    assert re.search(r"rest +stem to head fixed +157,699", answer.out), answer.out


def test_what_opens_keeps_its_statistics(tlearn: Tlearn, source: list[str], tmp_path: Path) -> None:
    Watch.seen.clear()
    assert tlearn("fit", *source, *SCHEDULE, *FIXED, *WATCH, "--trainer.max_epochs", "3").code == 0
    assert [entry["open"] for entry in Watch.seen[::3]] == [{"head"}, {"head", "layer1"}, {"head", "layer1", "stem"}]
    assert {entry["modes"] for entry in Watch.seen} == {(False, False)}
    end = last(tmp_path)["state_dict"]
    for name, value in start().items():
        if name.startswith("backbone."):
            assert torch.equal(value, end[name]) is name.endswith(STATISTICS), name


@pytest.mark.parametrize("extra", [[], SCHEDULE])
def test_resumed_equals_uninterrupted(extra: list[str], tlearn: Tlearn, source: list[str], tmp_path: Path) -> None:
    words = ["fit", *source, *FIXED, *extra, "--data.augment.flip", "true"]
    assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    assert tlearn(*words, "--trainer.max_epochs", "2").code == 0
    # The checkpoint answers for the option.
    answer = tlearn("fit", "--ckpt_path", "runs/small/version_1", "--trainer.max_epochs", "4")
    assert answer.code == 0, answer.err
    assert "epoch 3/4" in answer.out
    whole, resumed = last(tmp_path, 0), last(tmp_path, 1)
    assert whole["global_step"] == resumed["global_step"] == 12
    assert all(torch.equal(resumed["state_dict"][name], value) for name, value in whole["state_dict"].items())
    assert str(whole["optimizer_states"]) == str(resumed["optimizer_states"])


def test_resume_with_the_other_mode_is_refused(tlearn: Tlearn, source: list[str]) -> None:
    assert tlearn("fit", *source, *FIXED).code == 0
    answer = tlearn("fit", *source, "--ckpt_path", "last", "--trainer.max_epochs", "3", "--model.batch_norm", "follows")
    assert answer.code == 2
    assert "batch_norm" in answer.err


def test_fine_tuning_starts_where_the_solved_head_stands(tlearn: Tlearn, source: list[str]) -> None:
    rate = ["--model.head_init", "probe", "--model.optimizer.lr", "1e-12", "--data.val_fraction", "0.2"]
    reached = {}
    for mode in ("fixed", "follows"):
        answer = tlearn("fit", *source, *rate, "--trainer.max_epochs", "2", "--model.batch_norm", mode)
        assert answer.code == 0, answer.err
        (solved,) = re.findall(r"head solved on .* acc ([\d.]+) %", answer.err)
        epochs = re.findall(r"val loss [\d.]+ acc ([\d.]+) %", answer.out)
        assert len(epochs) == 2
        reached[mode] = (float(solved), [float(each) for each in epochs])
    solved, epochs = reached["fixed"]
    assert epochs == [solved] * 2
    assert reached["follows"][0] == solved
    assert reached["follows"][1] != epochs  # statistics of other batches are another network
