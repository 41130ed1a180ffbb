"""What fit logs, keeps and repeats (C11, C14, C16, C26-C29, C35, C36)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.fake_cifar import patch_checksums, write_fake_cifar10
from tests.helpers.runs import events, last, newest
from tlearn.models.losses import compute_loss
from tlearn.models.metrics import build_metrics


def test_small_data_have_a_curve_and_an_hparams_row(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "5").code == 0
    log = events(tmp_path)
    tags = log.Tags()["scalars"]
    for tag in ("train/loss", "train/acc", "val/loss", "val/acc", "val/acc_macro", "train/images_per_s"):
        assert len(log.Scalars(tag)) == 5, tag
    assert "lr-SGD/rest" in tags
    assert "hp_metric" not in tags
    assert log.Scalars("val_best/acc")[0].value == max(point.value for point in log.Scalars("val/acc"))
    hparams = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    for name in (b"lr", b"freeze_backbone", b"image_size", b"batch_size"):
        assert name in hparams


def test_checkpoints_are_flat_and_whole(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small).code == 0
    folder = tmp_path / "runs/small/version_0"
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    content = last(tmp_path, name="best")
    assert content["tlearn"]["class_names"] == ["0", "1", "2"]
    assert "preprocess.mean" in content["state_dict"]
    assert (folder / "split.json").is_file()


def test_same_command_same_bits_whatever_the_workers(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    augment = ["--data.augment", "{flip: true, crop_padding_px: 2}", "--model.head_dropout", "0.5"]
    for workers in ("0", "0", "2"):
        assert tlearn("fit", "-c", small, *augment, "--data.num_workers", workers).code == 0
    first, *others = (last(tmp_path, version)["state_dict"] for version in range(3))
    for other in others:
        assert all(torch.equal(other[key], value) for key, value in first.items())
    assert tlearn("fit", "-c", small, *augment, "--seed_everything", "1").code == 0
    assert not torch.equal(last(tmp_path, 3)["state_dict"]["head.1.weight"], first["head.1.weight"])


def test_split_is_the_same_for_every_seed(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        assert tlearn("fit", "-c", small, "--seed_everything", seed).code == 0
    first, second = ((tmp_path / f"runs/small/version_{n}/split.json").read_text() for n in range(2))
    assert first == second


def test_sixteen_in_a_row_of_one_joins_the_batch_before(tlearn: Tlearn, tmp_path: Path) -> None:
    """C11: nine images in batches of four, at 32 px, where BatchNorm cannot train on one image."""
    (tmp_path / "root").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        write_fake_cifar10(tmp_path / "root", per_class_train=5)
        patch_checksums(patch, tmp_path / "root")
        words = ["fit", "-c", "from_scratch.yaml", "--data.root", str(tmp_path / "root"), "--trainer.max_epochs", "2"]
        words += ["--data.classes", "[cat,dog]", "--data.train_per_class", "4", "--data.val_fraction", "0.1"]
        assert tlearn(*words, "--data.batch_size", "7").code == 0
        assert tlearn(*words, "--data.batch_size", "16").code == 0
        answer = tlearn(*words, "--data.batch_size", "16", "--data.drop_last", "true")
        assert answer.code == 2
        assert "8 training images, batch_size 16, drop_last: 0 batches" in answer.err
        answer = tlearn(*words, "--data.batch_size", "1")
        assert answer.code == 2
        assert "leaves BatchNorm a single value; give data.init_args.batch_size 2 or more" in answer.err


def test_validation_does_not_depend_on_the_batch(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small).code == 0
    seen = []
    for size in ("1", "3", "4", "27"):
        words = ["validate", "-c", small, "--ckpt_path", "best", "--data.batch_size", size]
        assert tlearn(*words).code == 0
        log = events(tmp_path)
        seen.append((newest(log, "val/acc"), newest(log, "val/loss")))
    assert len({acc for acc, _ in seen}) == 1
    assert max(loss for _, loss in seen) - min(loss for _, loss in seen) < 1e-6


def test_plain_accuracy_is_micro_and_macro_leaves_absent_classes_out() -> None:
    metrics = build_metrics("classification", 3, "test")
    always_cat = torch.tensor([[1.0, 0.0, 0.0]]).repeat(11, 1)
    metrics.update(always_cat, torch.tensor([0] * 9 + [1, 2]))
    assert metrics.compute()["test/acc"] == pytest.approx(9 / 11)
    assert metrics.compute()["test/acc_macro"] == pytest.approx(1 / 3)
    metrics.reset()
    metrics.update(torch.eye(3)[[0, 2, 1]], torch.tensor([0, 0, 0]))
    assert metrics.compute()["test/acc_macro"] == pytest.approx(1 / 3)


def test_regression_shapes_never_broadcast() -> None:
    output = torch.tensor([[1.0], [2.0], [4.0]])
    for targets in (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0], [2.0], [3.0]])):
        assert compute_loss("regression", output, targets) == pytest.approx(1 / 3)


def test_regression_learns_and_reports(tlearn: Tlearn, tmp_path: Path) -> None:
    words = [
        "--model.tap",
        "layer1",
        "--trainer.max_epochs",
        "3",
        "--data.size_px",
        "16",
        "--data.train_per_class",
        "null",
    ]
    answer = tlearn("fit", "-c", "regression.yaml", *words)
    assert answer.code == 0, answer.err
    assert answer.result["mean absolute error"].endswith(", in the unit of the values")
    assert "by val/loss, on " in answer.out
    answer = tlearn("predict", "-c", "regression.yaml", "--ckpt_path", "best")
    assert answer.code == 0, answer.err
    rows = (tmp_path / "runs/regression/version_0/predictions.csv").read_text().splitlines()
    assert rows[0] == "index,value,stranger,error"
    assert len(rows) == 1 + 144


def test_predictions_agree_with_validation(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    """C14: validation accuracy equals what predictions.csv says about the same images."""
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "4").code == 0
    assert tlearn("validate", "--ckpt_path", "runs/small/version_0").code == 0
    assert tlearn("predict", "--ckpt_path", "runs/small/version_0").code == 0
    rows = [
        line.split(",") for line in (tmp_path / "runs/small/version_0/predictions.csv").read_text().splitlines()[1:]
    ]
    from tlearn import DigitsDataModule

    data = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, val_fraction=0.05, size_px=16)
    data.setup("validate")
    images = data.dataset("val")
    truth = {int(i): data.class_names[int(images.targets[i])] for i in images.indices}
    right = sum(truth[int(index)] == name for index, name, *_ in rows)
    assert len(rows) == len(truth)
    assert right / len(rows) == pytest.approx(newest(events(tmp_path), "val/acc"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--trainer.callbacks", "ModelCheckpoint", "--trainer.callbacks.monitor", "val_acc"],
            "Did you mean 'val/acc'?",
        ),
        (
            [
                *["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/acc"],
                *["--trainer.callbacks.mode", "max", "--trainer.limit_val_batches", "0"],
            ],
            "EarlyStopping monitors val/acc, but no validation runs",
        ),
        (
            [
                "--model.lr_scheduler",
                "lightning.pytorch.cli.ReduceLROnPlateau",
                "--model.lr_scheduler.monitor",
                "val_los",
            ],
            "unknown monitor of ReduceLROnPlateau 'val_los'. Did you mean 'val/loss'?",
        ),
    ],
)
def test_wrong_monitor_is_said_before_training(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert "epoch 1/" not in answer.out


@pytest.mark.parametrize("word", ["--trainer.limit_val_batches=0", "--trainer.check_val_every_n_epoch=5"])
def test_without_validation_the_last_epoch_is_kept(word: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, word)
    assert answer.code == 0
    assert answer.result["result"] == "no epoch was validated, so none is the best: the last one is kept"
    assert [p.name for p in (tmp_path / "runs/small/version_0/checkpoints").iterdir()] == ["last.ckpt"]


def test_scheduler_from_the_command_line_acts(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "1", "--model.freeze_backbone", "true"]
    assert tlearn("fit", "-c", small, *words).code == 0
    content = last(tmp_path)
    assert len(content["lr_schedulers"]) == 1
    groups = content["optimizer_states"][0]["param_groups"]
    assert [(group["name"], len(group["params"])) for group in groups] == [("head", 2)]
    rates = [point.value for point in events(tmp_path).Scalars("lr-SGD/head")]
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.parametrize("precision", ["bf16-true", "64-true", "bf16-mixed"])
def test_every_precision_trains(precision: str, tlearn: Tlearn, small: str) -> None:
    for frozen in ("true", "false"):
        words = ["--model.freeze_backbone", frozen, "--trainer.precision", precision, "--trainer.max_epochs", "1"]
        answer = tlearn("fit", "-c", small, *words)
        assert answer.code == 0, answer.err


def test_the_loss_of_a_step_can_be_monitored_however_few_there_are(tlearn: Tlearn, small: str) -> None:
    stop = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=train/loss_step"]
    for frozen in ("true", "false"):
        answer = tlearn("fit", "-c", small, "--model.freeze_backbone", frozen, *stop)
        assert answer.code == 0, answer.err


def test_a_loss_that_is_not_a_number_ends_the_run(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, "--model.optimizer.lr", "1e30")
    assert answer.code == 2
    assert "the training loss is nan in epoch 1, step 2, learning rate 1e+30; lower it" in answer.err
    assert not list(tmp_path.rglob("*.ckpt"))
