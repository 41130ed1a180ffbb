"""What a user sees at the end of fit, validate and test, in a terminal, a pipe and a notebook."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, write_splits
from tlearn.reporting.terminal.results import result_rows, scores_of, table
from tlearn.training.evaluation import Outputs


class SlowSteps(Callback):
    """Take a second and a half for each step."""

    def on_train_batch_end(self, *_: Any) -> None:
        time.sleep(1.5)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of three colours, with a test split, and their config."""
    write_splits(tmp_path / "pictures")
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return tmp_path


def last_lines(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return answer.out.splitlines()


def test_the_end_of_a_fit_is_its_result_and_a_command(tlearn: Tlearn, pictures: Path) -> None:
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "2")
    run = "runs/folder/version_0"
    assert last_lines(answer)[-1] == f"next: tlearn predict {run} PHOTOS --out predictions.csv"
    result = answer.result
    assert re.fullmatch(r"[12] of 2, by val/acc, on 12 validation images", result["best epoch"])
    assert re.fullmatch(r"\d+\.\d % \[\d+\.\d, \d+\.\d\], \d+ of 12", result["accuracy"])
    assert re.fullmatch(r"\d+\.\d{4}", result["loss"])
    assert result["checkpoint"] == f"{run}/checkpoints/best.ckpt"
    assert result["report"] == f"{run}/report.html"
    lines = [line for line in answer.out.splitlines() if line.startswith("epoch ")]
    shape = r"epoch \d/2  train loss \d\.\d{4} acc \d+\.\d %  val loss \d\.\d{4} acc \d+\.\d %  \d+\.\d s"
    assert len(lines) == 2
    assert all(re.fullmatch(shape, line) for line in lines)
    assert max(map(len, lines)) <= 80


def test_validate_and_test_say_counts_and_no_raw_table(tlearn: Tlearn, pictures: Path) -> None:
    tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1")
    run = "runs/folder/version_0"
    for verb, split in (("validate", "validation"), ("test", "test")):
        answer = tlearn(verb, "--ckpt_path", run)
        assert "DataLoader 0" not in answer.out
        assert last_lines(answer)[-1] == f"next: tlearn predict {run} PHOTOS --out predictions.csv"
        result = answer.result
        assert result["checkpoint"] == f"{run}/checkpoints/best.ckpt (epoch 1)"
        assert result["images"] == f"12 {split} images"
        right = re.fullmatch(r"([\d.]+) % \[[\d.]+, [\d.]+\], (\d+) of 12", result["accuracy"])
        assert right
        assert float(right[1]) == pytest.approx(100 * int(right[2]) / 12, abs=0.05)
        assert re.fullmatch(r"\d+\.\d{4}", result["loss"])
        assert ("report" in result) == (verb == "test")


def test_data_without_picture_files_are_tested_next(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "1")
    assert last_lines(answer)[-1] == "next: tlearn test runs/small/version_0"
    answer = tlearn("test", "--ckpt_path", "runs/small/version_0")
    assert last_lines(answer)[-1] == "next: tlearn predict runs/small/version_0 --out predictions.csv"


def test_a_run_without_validation_says_which_epoch_is_kept(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--trainer.max_epochs", "1", "--data.val_fraction", "0")
    assert answer.result["checkpoint"] == "runs/small/version_0/checkpoints/last.ckpt"
    assert answer.result["result"] == "no epoch was validated, so none is the best: the last one is kept"
    assert last_lines(answer)[-1] == "next: tlearn test runs/small/version_0"


def outputs(targets: torch.Tensor, logits: torch.Tensor) -> Outputs:
    return Outputs("val", 1, logits, targets, torch.arange(len(targets)))


def test_only_top_1_over_all_images_is_counted() -> None:
    answers = outputs(torch.tensor([0, 0, 0, 1]), torch.tensor([[2.0, 0], [1, 0], [0, 1], [1, 0]]))
    found = dict(result_rows({"val/loss": 0.51234, "val/acc": 0.5, "val/acc_macro": 1 / 3}, answers))
    assert list(found) == ["accuracy", "accuracy, mean of the classes", "loss"]
    assert found["accuracy"] == "50.0 % [15.0, 85.0], 2 of 4"
    assert found["accuracy, mean of the classes"] == "33.3 %"
    assert found["loss"] == "0.5123"


def test_labels_and_values_have_their_own_scores() -> None:
    several = outputs(torch.tensor([[1.0, 0], [torch.nan, 1]]), torch.zeros(2, 2))
    found = dict(result_rows({"val/loss": 0.5, "val/f1": 0.25, "val/map": 0.75}, several))
    assert found == {"F1, mean of the classes": "25.0 %", "mean average precision": "75.0 %", "loss": "0.5000"}
    values = outputs(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1))
    found = dict(result_rows({"val/mae": 3.25, "val/r2": 0.5, "val/mae_age": 3.25}, values))
    assert found["mean absolute error"] == found["mean absolute error, age"] == "3.2500, in the unit of the values"
    assert scores_of("regression", {"val/loss": 1.0, "val/mae": 3.25}, "val") == "val loss 1.0000 mae 3.2500"


def test_a_table_has_its_values_below_each_other() -> None:
    assert table([("a", "1"), ("long", "2")]) == "a     1\nlong  2"


def in_terminal(words: list[str], folder: Path, columns: int, ends: str, **variables: str) -> str:
    """What tlearn writes to a terminal of so many columns; ``ends`` is typed once it has trained an epoch."""
    master, slave = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tlearn", *words],
        cwd=folder,
        env={**os.environ, **size, **variables, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen, until_s = b"", time.monotonic() + 120
    while time.monotonic() < until_s:
        if select.select([master], [], [], 0.5)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
        if ends and b"epoch 1/" in seen and b"  train loss" in seen:
            os.killpg(process.pid, 2)
            ends = ""
    process.wait(10)
    os.close(master)
    return seen.decode()


def on_screen(written: str) -> list[str]:
    """The lines that stay: what was erased is gone, and colours are left out."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        left = line.rpartition("\x1b[2K")[2].rpartition("\r")[2]
        lines.append(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", left).rstrip())
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("no_color", ["", "1"])
def test_in_a_terminal_of_80_columns_nothing_stands_below_the_command(pictures: Path, no_color: str) -> None:
    slow = "--trainer.callbacks+=tests.reporting.test_terminal.SlowSteps"
    words = ["fit", "--config", "folder.yaml", "--trainer.max_epochs", "2", slow]
    written = in_terminal(words, pictures, 80, "", NO_COLOR=no_color)
    lines = on_screen(written)
    assert lines[-2:] == ["next: python -m tlearn predict runs/folder/version_0 PHOTOS --out predictions.csv", ""]
    assert "epoch 2/2, training: 1 of 3 batches" in written  # the line of progress was there, and counts from 1
    assert not any("batches" in line for line in lines)  # and vanished
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line[:9] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    drawn = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", each) for each in re.split(r"\r(?!\n)", written)]
    assert max(len(each) for each in drawn if "batches" in each and "\n" not in each) < 80


@pytest.mark.slow
def test_ctrl_c_ends_with_how_to_go_on(pictures: Path) -> None:
    words = ["fit", "--config", "folder.yaml", "--trainer.max_epochs", "500"]
    lines = [line for line in on_screen(in_terminal(words, pictures, 80, "stop")) if line]
    assert "SIGINT: fit saves and stops after this step; a second SIGINT stops it at once" in lines
    assert re.fullmatch(r"stopped after step \d+", lines[-2])
    last = "runs/folder/version_0/checkpoints/last.ckpt"
    assert lines[-1] == f"to go on: python -m tlearn fit --ckpt_path {last}"


def test_all_parameters_of_the_network_are_accounted_for(tlearn: Tlearn, small: str) -> None:
    """Whoever knows ResNet18 knows its 11,176,512 parameters without the classifier."""
    cut = ["--model.backbone", "resnet18", "--model.tap", "layer2", "--model.freeze_until", "layer1"]
    answer = tlearn("fit", "-c", small, *cut, "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    whole, behind = 11_176_512, 10_493_440
    assert f"\nresnet18 without its old classifier has {whole:,}, {behind:,} of them behind the tap: not used\n" in (
        answer.out
    )
    kinds = r"([\d,]+) trainable \+ ([\d,]+) frozen(?: \+ ([\d,]+) idle)? = ([\d,]+) parameters"
    said = re.search(rf"^{kinds}$", answer.out, re.M)
    assert said
    trainable, frozen, idle, built = (int((number or "0").replace(",", "")) for number in said.groups())
    assert trainable + frozen + idle == built
    head = 128 * 3 + 3
    assert built - head + behind == whole
    page = Path("runs/small/version_0/report.html").read_text()
    assert f"{trainable:,} of its {built:,} parameters trained, {frozen:,} were frozen" in page
    assert f"and {behind:,} more behind the tap are not used" in page


def test_a_remark_about_busy_cores_is_made_once(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.reporting.step_metrics.free_threads", lambda most, _: most - 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    answer = tlearn("fit", "-c", small)
    assert answer.code == 0, answer.err
    assert answer.err.count("cores busy") == answer.err.count("or with OMP_NUM_THREADS=2 typed before") == 1
    assert "cores busy" not in answer.out
