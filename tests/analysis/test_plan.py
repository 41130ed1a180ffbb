"""`plan` tells what `fit` would do, and refuses what `fit` would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.runs import planned
from tlearn import TransferModule

SCHEDULE = ["--model.unfreeze", "{layer1: 1, stem: 2}", "--model.lr_scales", "{stem: 0.5}", "--trainer.max_epochs", "4"]


def test_timeline(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    step = ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "2"]
    plan = planned(tlearn, tmp_path, "-c", small, *SCHEDULE, *step)
    groups = {group["name"]: group for group in plan["groups"]}
    assert {name: group["from_epoch"] for name, group in groups.items()} == {"layer1": 1, "stem": 2, "head": 0}
    assert groups["head"]["learning_rates"] == pytest.approx([0.01, 0.01, 0.001, 0.001])
    assert groups["layer1"]["learning_rates"] == pytest.approx([0, 0.01, 0.001, 0.001])
    assert groups["stem"]["learning_rates"] == pytest.approx([0, 0, 0.0005, 0.0005])
    assert groups["layer1"]["stages"] == ["layer1"]
    assert groups["layer1"]["parameters"] == 147968
    assert groups["layer1"]["batch_norm"] == "follows"
    assert plan["trainable"] == 147968 + 9536 + 64 * 3 + 3
    assert plan["frozen"] == 0
    assert plan["run_time_s"] == pytest.approx(sum(plan["epoch_time_s"]) + plan["features_time_s"])
    assert plan["probe_time_s"] == 0
    assert plan["peak_memory_bytes"] > 1e8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "small.yaml"]


def test_rates_are_those_of_the_run(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    from tests.helpers.runs import events

    cycle = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"]
    words = ["-c", small, *cycle, "--model.lr_scheduler.total_steps", "12", "--trainer.max_epochs", "4"]
    plan = planned(tlearn, tmp_path, *words)
    every_step = ["--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "runs"]
    every_step += ["--trainer.logger.name", "small", "--trainer.log_every_n_steps", "1"]
    assert tlearn("fit", *words, *every_step).code == 0
    rates = [point.value for point in events(tmp_path).Scalars("lr-SGD/rest")]
    assert plan["groups"][0]["learning_rates"] == pytest.approx(rates[:: len(rates) // 4], rel=1e-5)


def test_probe_costs_a_pass(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["-c", small, "--model.head_init", "probe"]
    plan = planned(tlearn, tmp_path, *words)  # kept: the next run has the features
    assert 0 < plan["features_time_s"] == pytest.approx(plan["run_time_s"] - sum(plan["epoch_time_s"]))
    plan = planned(tlearn, tmp_path, *words, "--model.feature_cache", "off")
    assert 0 < plan["probe_time_s"] == pytest.approx(plan["run_time_s"] - sum(plan["epoch_time_s"]))


def test_maps_of_frozen_stages_are_planned(
    tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, features = set[bool](), TransferModule.features

    def watched(module: TransferModule, images: Tensor) -> Tensor:
        if module.training:
            seen.add(images.is_floating_point())  # as maps are, and no images
        return features(module, images)

    monkeypatch.setattr(TransferModule, "features", watched)
    words = ["-c", small, "--model.tap", "layer4", "--model.freeze_until", "layer3", "--trainer.max_epochs", "4"]
    words += ["--model.image_size", "64"]
    kept = planned(tlearn, tmp_path, *words)
    assert 0 < kept["features_time_s"] == pytest.approx(kept["run_time_s"] - sum(kept["epoch_time_s"]))
    assert seen == {True}
    seen.clear()
    anew = planned(tlearn, tmp_path, *words, "--model.feature_cache", "off")
    assert anew["features_time_s"] == 0
    assert seen == {False}
    answer = tlearn("plan", *words, "--model.feature_cache_gb", "0.00001")
    assert "more than model.feature_cache_gb 1e-05: the frozen stages run anew in every epoch" in answer.err
    assert "is kept: that takes" not in answer.out


def test_accumulation_and_least_epochs(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    cycle = ["--model.lr_scheduler", "OneCycleLR", "--model.lr_scheduler.max_lr", "0.01"]
    words = [*cycle, "--model.lr_scheduler.total_steps", "4", "--trainer.max_epochs", "2"]
    words += ["--trainer.accumulate_grad_batches", "2", "--trainer.min_epochs", "2"]
    plan = planned(tlearn, tmp_path, "-c", small, *words)
    assert len(plan["groups"][0]["learning_rates"]) == 2


def test_found_rate_is_planned(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    plan = planned(tlearn, tmp_path, "-c", small, "--model.optimizer.lr", "1e-6", "--find_lr")
    assert plan["groups"][0]["learning_rates"][0] > 1e-5


def test_frozen_part_is_listed(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("plan", "-c", small, "--model.freeze_until", "stem")
    assert answer.code == 0
    assert "148,163 trainable + 9,536 frozen = 157,699 parameters" in answer.out
    assert "an epoch takes" in answer.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.freeze_until", "layr1"], "Did you mean 'layer1'?"),
        (["--model.l2_sp", "0.1"], "model.l2_sp pulls towards pretrained weights"),
        (["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_loss"], "Did you mean 'val/loss'?"),
        (["--data.batch_size", "1", "--data.size_px", "8", "--model.tap", "layer4"], "BatchNorm"),
        (["--out", "nowhere/plan.json"], "nowhere does not exist"),
        (["--trainer.max_epochs", "-1"], "plan needs trainer.max_epochs"),
        (["--ckpt_path", "last"], "plan tells of a whole run"),
        (["--out"], "--out needs the name of a file"),
    ],
)
def test_refuses_what_fit_would(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("plan", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert not Path("runs").exists()
