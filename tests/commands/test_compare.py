"""`compare` fits configs on the same images with the same seeds, and says how sure the difference is."""

from __future__ import annotations

import json
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.conftest import SMALL, Tlearn
from tlearn.analysis.ranking import Scores, holm, interval_of, p_value_of, rank, sample_f1
from tlearn.commands.compare.table import About, Cost, print_comparison
from tlearn.training.module import TransferModule

RUNS = Path("runs/compare")


def write(tmp_path: Path, name: str, *changes: tuple[str, str]) -> str:
    text = SMALL.replace("val_fraction: 0.05", "val_fraction: 0.2")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / name).write_text(text)
    return name


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Two configs that differ in their learning rate."""
    return write(tmp_path, "slow.yaml", ("lr: 0.01", "lr: 0.0001")), write(tmp_path, "fast.yaml", ("0.01", "0.03"))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every run that trains."""
    seen: list[str] = []
    begin = TransferModule.on_train_start

    def note(module: TransferModule) -> None:
        seen.append(str(module.trainer.log_dir))
        begin(module)

    monkeypatch.setattr(TransferModule, "on_train_start", note)
    return seen


def results(name: str) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted((RUNS / name).glob("*/result.json"))}


def hparams_metrics(folder: Path) -> set[str]:
    """The metrics that TensorBoard's hparams tab has a column for."""
    log = EventAccumulator(str(folder)).Reload()
    content = log.SummaryMetadata("_hparams_/experiment").plugin_data.content
    return {info.name.tag for info in HParamsPluginData.FromString(content).experiment.metric_infos}


def test_compare(tlearn: Tlearn, pair: tuple[str, str]) -> None:
    answer = tlearn("compare", *pair, "--seeds", "2", "--out", "all.json")
    assert answer.code == 0, answer.err
    runs = results("slow_vs_fast")
    assert list(runs) == ["fast-seed0", "fast-seed1", "slow-seed0", "slow-seed1"]
    for name, run in runs.items():
        folder = RUNS / "slow_vs_fast" / name / "version_0"
        assert run["checkpoint"] == str(folder / "checkpoints" / "best.ckpt")
        assert Path(run["checkpoint"]).is_file()
        assert run["metric"] == "val/acc"
        assert np.mean(run["scores"]) == pytest.approx(run["value"])
        assert run["trainable_parameters"] == 157699
        assert run["peak_memory_bytes"] > 1e8
        assert 0.05 < run["seconds"] < 60
        costs = {"seconds": run["seconds"], "peak_memory_mb": run["peak_memory_bytes"] / 1e6}
        costs |= {"trainable_parameters": 157699, "val_best/acc": run["value"]}
        assert hparams_metrics(folder) == set(costs)
        log = EventAccumulator(str(folder)).Reload()
        assert {tag: log.Scalars(tag)[-1].value for tag in costs} == pytest.approx(costs)
    assert len({run["val"] for run in runs.values()}) == len({run["train"] for run in runs.values()}) == 1
    written = json.loads(Path("all.json").read_text())
    best, other = written["standings"]
    assert (best["name"], other["name"]) == ("fast", "slow")
    assert (written["images"], written["seeds"], written["score"]) == (85, 2, "accuracy")
    means = {name: np.mean([runs[f"{name}-seed{k}"]["value"] for k in (0, 1)]) for name in ("fast", "slow")}
    assert best["mean"] == pytest.approx(means["fast"])
    assert other["difference"] == pytest.approx(means["slow"] - means["fast"])
    assert best["seeds"] == pytest.approx(sorted(runs[f"fast-seed{k}"]["value"] for k in (0, 1)))
    assert other["p_value"] == other["corrected"] < 0.01
    assert best["p_value"] is None
    assert (
        f"fast {100 * best['mean']:.1f} [{100 * best['interval'][0]:.1f}, {100 * best['interval'][1]:.1f}]"
        in answer.out
    )
    assert "\n85 validation images, the same for all; 2 seeds\n" in answer.out
    assert "\np: paired permutation test over images\nneither speaks of other seeds\n" in answer.out
    assert max(map(len, answer.out[answer.out.index("accuracy %") :].splitlines())) <= 80
    assert "not distinguishable" not in answer.out
    assert answer.out.count("\nbest epoch: accuracy ") == 4
    assert "next:" not in answer.out  # of a run that is one of several
    assert tlearn("fit", "-c", "fast.yaml", "--seed_everything", "1").code == 0
    alone = EventAccumulator("runs/fast/version_0").Reload().Scalars("val_best/acc")[-1].value
    assert alone == pytest.approx(runs["fast-seed1"]["value"], abs=1e-7)  # the same run


@pytest.mark.slow
def test_finished_runs_are_not_repeated(
    tlearn: Tlearn, pair: tuple[str, str], trained: list[str], tmp_path: Path
) -> None:
    words = ["compare", "--config", pair[0], pair[1], "--seeds", "1", "--name", "mine"]
    first = tlearn(*words)
    assert first.code == 0, first.err
    assert trained == [f"runs/compare/mine/{name}-seed0/version_0" for name in ("slow", "fast")]
    written = {path: path.stat().st_mtime_ns for path in RUNS.rglob("*") if path.is_file()}
    again = tlearn(*words)
    assert len(trained) == 2
    assert "slow, seed 0: finished before, taken from runs/compare/mine/slow-seed0/result.json" in again.out
    assert first.out[first.out.index("accuracy %") :] in again.out
    assert written == {path: path.stat().st_mtime_ns for path in RUNS.rglob("*") if path.is_file()}

    (RUNS / "mine/slow-seed0/result.json").unlink()  # as after an interruption
    write(tmp_path, "fast.yaml", ("lr: 0.01", "lr: 0.02"))
    changed = tlearn(*words)
    assert len(trained) == 4
    assert "slow, seed 0: it was not finished; the run in runs/compare/mine/slow-seed0 is replaced" in changed.out
    assert "fast, seed 0: its config or data changed; the run in runs/compare/mine/fast-seed0 is" in changed.out
    assert len(list(RUNS.glob("mine/*/version_*"))) == 2
    assert not [path for path in written if path.name.startswith("events") and path.exists()]


@pytest.mark.slow
def test_interruption_keeps_what_is_finished(
    tlearn: Tlearn, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TransferModule.training_step

    def interrupted(module: TransferModule, *batch: Any) -> Any:
        if module.trainer.optimizers[0].param_groups[0]["lr"] > 0.001:  # the second config's
            raise KeyboardInterrupt
        return step(module, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(TransferModule, "training_step", interrupted)
        answer = tlearn("compare", *pair, "--seeds", "1")
    assert answer.code == 130
    assert "finished runs are kept: the same command does the others" in answer.err
    answer = tlearn("compare", *pair, "--seeds", "1")
    assert "slow, seed 0: finished before" in answer.out
    assert "fast, seed 0: it was not finished" in answer.out


@pytest.mark.slow
def test_one_seed_is_judged_by_mcnemar_and_budgets_are_told(tlearn: Tlearn, tmp_path: Path) -> None:
    one = write(tmp_path, "one.yaml", ("max_epochs: 2", "max_epochs: 1"))
    other = write(tmp_path, "other.yaml", ("batch_size: 8", "batch_size: 12"), ("lr: 0.01", "lr: 0.1"))
    answer = tlearn("compare", one, other, "--seeds", "1", "--out", "all.json")
    run = results("one_vs_other")["other-seed0"]
    log = EventAccumulator("runs/compare/one_vs_other/other-seed0/version_0").Reload()
    by_epoch = [point.value for point in log.Scalars("val/acc")]
    assert by_epoch[1] < by_epoch[0] == pytest.approx(np.mean(run["scores"]))  # the best epoch's, not the last's
    first, second = json.loads(Path("all.json").read_text())["standings"]
    right, wrong = (np.array(each["runs"][0]["scores"]) for each in (first, second))
    b, c = int((right > wrong).sum()), int((wrong > right).sum())
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert second["p_value"] == pytest.approx(min(1.0, 2 * tail))
    assert "\n85 validation images, the same for all; 1 seed\n" in answer.out
    assert "\np: exact McNemar test\n" in answer.out
    assert "the configs differ in trainer.max_epochs: one 1, other 2\n" in answer.err
    assert "the configs differ in data.init_args.batch_size: one 8, other 12\n" in answer.err


@pytest.mark.slow
def test_regression_is_judged_by_its_error(tlearn: Tlearn, tmp_path: Path) -> None:
    task = ("classes: [0, 1, 2], train_per_class: 8", "classes: [0, 1], task: regression")
    names = [write(tmp_path, f"{name}.yaml", task, ("0.01", lr)) for name, lr in (("off", "1.0e-5"), ("on", "0.001"))]
    answer = tlearn("compare", *names, "--seeds", "1", "--out", "all.json", "--trainer.limit_train_batches", "5")
    assert answer.code == 0, answer.err
    standings = json.loads(Path("all.json").read_text())["standings"]
    assert standings[0]["mean"] < standings[1]["mean"]
    assert standings[1]["difference"] > 0
    assert "absolute error" in answer.out
    assert "paired permutation test" in answer.out


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("split_seed: 0", "split_seed: 1"), "fast and other validate on different images (85 and 85); give both"),
        (("val_fraction: 0.2", "val_fraction: 0.3"), "validate on different images (85 and 130)"),
        (("[0, 1, 2]", "[0, 1, 3]"), "different classes, 0, 1, 2 and 0, 1, 3"),
        (("train_per_class: 8", "task: regression"), "different tasks, classification and regression"),
        (("max_epochs: 2", "max_epochs: 2, logger: false"), "other: trainer.logger puts runs elsewhere"),
        (("max_epochs: 2", "max_epochs: 2, limit_val_batches: 0"), "other: trainer.limit_val_batches is 0"),
        (("max_epochs: 2", "max_epochs: 2, fast_dev_run: true"), "other: trainer.fast_dev_run keeps no run"),
        (("max_epochs: 2", "max_epochs: 2, enable_checkpointing: false"), "trainer.enable_checkpointing is false"),
        (("max_epochs: 2", "max_epoch: 2"), "did you mean trainer.max_epochs?"),
    ],
)
def test_what_cannot_be_compared(change: tuple[str, str], expected: str, tlearn: Tlearn, tmp_path: Path) -> None:
    seed = ("val_fraction: 0.2", "val_fraction: 0.2, split_seed: 0")
    answer = tlearn("compare", write(tmp_path, "fast.yaml", seed), write(tmp_path, "other.yaml", seed, change))
    assert answer.code == 2
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert not RUNS.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fast.yaml"], "compare needs two configs or more, got 1"),
        (["fast.yaml", "fast.yaml"], "two configs are named fast"),
        (["fast.yaml", "quikstart.yaml"], "Did you mean 'quickstart.yaml'?"),
        (["fast.yaml", "slow.yaml", "--seeds", "0"], "--seeds: expected a whole number from 1 on, got '0'"),
        (["fast.yaml", "slow.yaml", "--seeds=two"], "got 'two'"),
        (["fast.yaml", "slow.yaml", "--name", "../x"], "--name: expected the name of one folder, got '../x'"),
        (["fast.yaml", "slow.yaml", "--out"], "--out needs the name of a file"),
        (["fast.yaml", "slow.yaml", "--out", "nowhere/x.json"], "nowhere does not exist"),
        (["fast.yaml", "slow.yaml", "--ckpt_path", "last"], "drop --ckpt_path: it resumes one run"),
        (["fast.yaml", "slow.yaml", "--seed_everything=3"], "drop --seed_everything: use --seeds N"),
        (["fast.yaml", "slow.yaml", "--sweep", "a=1"], "--sweep is an option of fit"),
    ],
)
def test_wrong_words(words: list[str], expected: str, tlearn: Tlearn, pair: tuple[str, str]) -> None:
    answer = tlearn("compare", *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("flag", ["--find_lr", "--no_find_lr"])
def test_a_flag_takes_no_config_for_its_value(flag: str, tlearn: Tlearn, pair: tuple[str, str]) -> None:
    words = [pair[0], flag, pair[1], "--seeds", "1", "--trainer.max_epochs", "1"]
    answer = tlearn("compare", *words)
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in Path("runs/compare").glob("*/*")) == ["fast-seed0", "slow-seed0"]


def test_help(tlearn: Tlearn) -> None:
    assert tlearn("compare", "--help").out.startswith("usage: tlearn compare A.yaml B.yaml")


def test_interval_is_that_of_a_mean() -> None:
    scores = np.random.default_rng(0).normal(3.0, 2.0, size=(4, 400))
    low, high = interval_of(scores) or (0.0, 0.0)
    error = scores.mean(axis=0).std(ddof=1) / 20
    assert (low, high) == pytest.approx((scores.mean() - 1.96 * error, scores.mean() + 1.96 * error), abs=0.01)
    assert interval_of(np.ones((2, 9))) is None


def test_permutation_p_value_is_exact_for_few_images() -> None:
    one, other = np.array([[0.9, 0.8, 0.7, 0.9, 0.6]]), np.array([[0.1, 0.2, 0.6, 0.1, 0.7]])
    difference = (one - other)[0]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1)
    wanted = np.mean(np.abs(difference @ signs) >= abs(difference.sum()) - 1e-9)
    assert p_value_of(one, other) == pytest.approx(wanted)


def test_ranks_and_corrections() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    right: Scores = np.array([[1.0] * 30])
    scores = {"bad": 1 - right, "good": right, "near": np.array([[1.0] * 27 + [0.0] * 3])}
    good, near, bad = rank(scores, higher_is_better=True)
    assert (good.name, near.name, bad.name) == ("good", "near", "bad")
    assert near.p_value == pytest.approx(0.25)
    assert bad.corrected == pytest.approx(2 * 2 / 2**30)
    assert [each.is_told_apart for each in (good, near, bad)] == [False, False, True]
    assert [each.name for each in rank(scores, higher_is_better=False)] == ["bad", "near", "good"]


def test_seeds_that_overlap_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    bits = np.random.default_rng(0).random((6, 200))
    scores = {"wild": bits[:2] < [[0.9], [0.5]], "tame": bits[2:4] < 0.55, "bad": bits[4:] < 0.1}
    standings = rank({name: of.astype(float) for name, of in scores.items()}, higher_is_better=True)
    print_comparison(standings, dict.fromkeys(scores, Cost(1.0, 10**9, 7)), About("accuracy", 200, 2, False))
    said = capsys.readouterr().out
    assert "not distinguishable" not in said
    assert "over seeds these overlap with wild, more may change the order: tame\n" in said
    assert "corrected by Holm" in said


def test_f1_of_images() -> None:
    predicted = np.array([[True, True, False], [False, False, False], [False, False, False], [True, False, False]])
    wanted = np.array([[True, False, False], [False, False, False], [True, False, False], [True, False, False]])
    assert sample_f1(predicted, wanted) == pytest.approx([2 / 3, 1.0, 0.0, 1.0])


PEAK = """
import torch
from tlearn.base.machine import PeakMemory

block = torch.ones(60_000_000)  # 240 MB that an earlier run had
before = PeakMemory(torch.device("cpu")).bytes()
del block
peak = PeakMemory(torch.device("cpu"))
now = peak.bytes()
held = torch.ones(30_000_000)
print(peak.since, before - now, peak.bytes() - now)
"""


@pytest.mark.slow
def test_peak_memory_counts_from_its_making() -> None:
    # In a process of its own: what earlier tests left is freed at any time.
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    since, freed, held = done.stdout.split()
    if since == "start":
        pytest.skip("this system does not reset the high-water mark")
    assert int(freed) > 2e8
    assert 1.1e8 < int(held) < 1.3e8
