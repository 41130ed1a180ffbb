"""Resume, evaluate and start anew from checkpoints (C01, C09, C14, C30-C34, C37)."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import Tlearn
from tests.helpers.runs import SCHEDULERS, events, last
from tlearn.base.types import Batch
from tlearn.training.module import TransferModule


@pytest.mark.parametrize(
    "scheduler", [pytest.param(name, marks=pytest.mark.pictures) if name == "none" else name for name in SCHEDULERS]
)
def test_resumed_equals_uninterrupted(scheduler: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *SCHEDULERS[scheduler], "--data.augment.flip", "true", "--model.head_dropout", "0.3"]
    assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    assert tlearn(*words, "--trainer.max_epochs", "2").code == 0
    answer = tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", "last")
    assert answer.code == 0, answer.err
    assert "epoch 3/4" in answer.out
    assert "epoch 2/4" not in answer.out
    whole, resumed = last(tmp_path, 0), last(tmp_path, 1)
    assert all(torch.equal(resumed["state_dict"][key], value) for key, value in whole["state_dict"].items())
    assert str(whole["optimizer_states"]) == str(resumed["optimizer_states"])
    assert str(whole["lr_schedulers"]) == str(resumed["lr_schedulers"])
    assert whole["global_step"] == resumed["global_step"] == 12
    best = last(tmp_path, 0, "best"), last(tmp_path, 1, "best")
    assert best[0]["epoch"] == best[1]["epoch"]
    assert sorted(path.name for path in (tmp_path / "runs/small").iterdir()) == ["version_0", "version_1"]


REFUSED = [
    (["--model.optimizer.lr", "0.5"], "model.optimizer.init_args.lr is 0.01 in the checkpoint, 0.5 was given"),
    (["--model.freeze_backbone", "true"], "model.freeze_backbone is False in the checkpoint, True was given"),
    (["--data.batch_size", "4"], "data.init_args.batch_size is 8 in the checkpoint, 4 was given"),
    (["--data.split_seed", "4"], "data.init_args.split_seed is 0 in the checkpoint, 4 was given"),
    (["--seed_everything", "4"], "seed_everything is 0 in the checkpoint, 4 was given"),
    (["--trainer.max_epochs", "2"], "has 2 epochs behind it, none is left: raise trainer.max_epochs"),
]


def test_resume_is_exact_or_refused(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small).code == 0
    for words, expected in REFUSED:
        answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "4", "--ckpt_path", "last", *words)
        assert answer.code == 2
        assert expected in answer.err
        assert answer.err.count("\n") == 1
        if "raise" not in expected:
            assert f"--model.weights {tmp_path}/runs/small/version_0/checkpoints/last.ckpt" in answer.err


@pytest.mark.parametrize("workers", ["0", "2"])
def test_worker_processes_go_on_with_the_right_epoch(tlearn: Tlearn, small: str, tmp_path: Path, workers: str) -> None:
    words = ["--data.augment.flip", "true", "--data.num_workers", workers]
    assert tlearn("fit", "-c", small, *words, "--trainer.max_epochs", "3").code == 0
    assert tlearn("fit", "-c", small, *words).code == 0
    assert tlearn("fit", "--ckpt_path", "runs/small/version_1", "--trainer.max_epochs", "3").code == 0
    whole, resumed = (
        torch.load(tmp_path / f"runs/small/version_{run}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (0, 1)
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_may_change_on_resume(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    words = ["--trainer.max_epochs", "3", "--ckpt_path", "last", "--data.num_workers", "1"]
    assert tlearn("fit", "-c", small, *words).code == 0


def test_a_moved_run_goes_on_and_keeps_its_best(
    tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1").code == 0
    run = (tmp_path / "runs/small/version_0").rename(tmp_path / "version_5")
    before = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    (best,) = (state for state in before["callbacks"].values() if state.get("monitor") == "val/acc")
    best["best_model_score"] = torch.tensor(2.0)  # no later epoch can be better
    torch.save(before, run / "checkpoints/last.ckpt")
    written = (run / "checkpoints/best.ckpt").read_bytes()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    answer = tlearn("fit", "--ckpt_path", "../version_5", "--trainer.max_epochs", "2")
    assert answer.code == 0, answer.err
    assert (run / "checkpoints/best.ckpt").read_bytes() == written
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1
    assert not list((tmp_path / "empty").iterdir())


def test_checkpoint_alone_answers_for_all_options(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, "--model.image_size", "24", "--trainer.max_epochs", "1").code == 0
    moved = tmp_path / "elsewhere.ckpt"
    moved.write_bytes((tmp_path / "runs/small/version_0/checkpoints/best.ckpt").read_bytes())
    assert tlearn("validate", "--ckpt_path", "runs/small/version_0/checkpoints/best.ckpt").code == 0
    (fit,) = events(tmp_path).Scalars("val/acc")  # `validate` adds no point to the curve of `fit`
    (validate,) = EventAccumulator(str(tmp_path / "runs/small/version_0/validate")).Reload().Scalars("val/acc")
    assert fit.value == pytest.approx(validate.value)
    for verb in ("test", "predict", "validate"):
        answer = tlearn(verb, "--ckpt_path", str(moved))
        assert answer.code == 0, answer.err


def test_the_checkpoints_network_wins_over_a_config_and_says_so(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--model.image_size", "24", "--trainer.max_epochs", "1").code == 0
    small_says_32 = Path(small).with_name("other.yaml")
    small_says_32.write_text(Path(small).read_text().replace("tap: layer1", "{tap: layer1, image_size: 32}"))
    small_says_32.write_text("model: {image_size: 32}")
    answer = tlearn("test", "-c", small, "-c", str(small_says_32), "--ckpt_path", "best")
    assert answer.code == 0
    assert "model.image_size: 24 as in the checkpoint, not 32 as in other.yaml" in answer.err
    answer = tlearn("test", "-c", small, "--ckpt_path", "best", "--model.image_size", "32")
    assert answer.code == 2
    assert "model.image_size is 24 in the checkpoint, 32 was given; the network is the checkpoint's" in answer.err


def test_two_stages_start_from_weights(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, "--model.freeze_backbone", "true").code == 0
    checkpoint = tmp_path / "runs/small/version_0/checkpoints/best.ckpt"
    first = last(tmp_path, name="best")["state_dict"]
    answer = tlearn("fit", "-c", small, "--model.weights", str(checkpoint), "--model.optimizer.lr", "1e-30")
    assert answer.code == 0
    assert f"weights {checkpoint}: 30 backbone tensors loaded, head loaded too (2 tensors, same classes)" in answer.err
    assert "epoch 1/2" in answer.out
    assert torch.equal(last(tmp_path, 1)["state_dict"]["head.weight"], first["head.weight"])


def test_other_classes_start_with_a_new_head(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small).code == 0
    path = str(tmp_path / "runs/small/version_0/checkpoints/best.ckpt")
    five = ["--data.classes", "[5,6,7,8,9]", "--data.val_fraction", "0.1"]
    answer = tlearn("fit", "-c", small, *five, "--model.weights", path)
    assert answer.code == 0
    assert (
        "30 backbone tensors loaded, the head starts new (2 tensors): 3 classes in the file, 5 others here"
        in answer.err
    )
    answer = tlearn("test", "--ckpt_path", path, *five)
    assert answer.code == 2
    assert "the checkpoint knows 3 classes (0, 1, 2), the data have 5 (5, 6, 7, 8, 9)" in answer.err


@pytest.mark.fault("Checkpoints cut short, empty, or of another kind", "refused in one line")
@pytest.mark.parametrize("verb", ["test", "predict", "fit"])
@pytest.mark.parametrize("damage", ["half", "zero", "jpeg", "state_dict", "lfs", "pickle"])
def test_damaged_and_foreign_checkpoints(damage: str, verb: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    path, touched = tmp_path / "x.ckpt", tmp_path / "touched"
    content: dict[str, Callable[[], bytes]] = {
        "half": lambda: path.with_suffix(".whole").read_bytes()[:3000],
        "zero": lambda: b"",
        "jpeg": lambda: b"\xff\xd8\xff\xe0" + b"x" * 500,
        "lfs": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "pickle": lambda: pickle.dumps(Touch(str(touched))),
    }
    torch.save({"conv1.weight": torch.zeros(3000)}, path.with_suffix(".whole"))
    path.write_bytes(content.get(damage, path.with_suffix(".whole").read_bytes)())
    answer = tlearn(verb, "-c", small, "--ckpt_path", str(path))
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert str(path) in answer.err
    assert ("is no checkpoint of tlearn" in answer.err) is (damage == "state_dict")
    assert ("Git LFS pointer" in answer.err) is (damage == "lfs")
    assert not touched.exists()


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path(self.path),))  # type: ignore[return-value]


def test_resume_auto(tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["fit", "-c", small, "--trainer.max_epochs", "3"]
    assert tlearn(*words).code == 0
    whole = last(tmp_path)
    (tmp_path / "runs/small").rename("whole")

    runs = Path("runs/small")
    answer = tlearn(*words, "--resume", "auto", "--trainer.max_time", "00:00:00:00")
    assert f"resume auto: no run under {runs} yet, a new one begins" in answer.err
    with Path(small).open("a") as file:
        file.write("resume: auto\n")
    for folder in runs.iterdir():
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # as if killed early
    step = TransferModule.training_step

    def failing(self: TransferModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        if self.global_step == 4:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "training_step", failing)
        answer = tlearn(*words)
    assert answer.code == 130
    assert f"resume auto: {runs}/version_0 was stopped before its first checkpoint, a new run begins" in answer.err

    answer = tlearn(*words, "--model.optimizer.lr", "0.5")
    assert answer.code == 2
    assert "model.optimizer.init_args.lr is 0.01 in the checkpoint, 0.5 was given" in answer.err
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert f"resume auto: going on from {runs}/version_1/checkpoints/last.ckpt" in answer.err
    assert "epoch 1/3" not in answer.out
    resumed = last(tmp_path, 1)
    assert all(torch.equal(resumed["state_dict"][key], value) for key, value in whole["state_dict"].items())

    answer = tlearn(*words)
    assert f"resume auto: {runs}/version_1 is finished, a new run begins" in answer.err
    assert "epoch 1/3" in answer.out
    assert tlearn("test", "-c", small, "--ckpt_path", "last").code == 0
