"""A full disk, a read-only one, a quota: one line with the path, nothing half-written, what was good stays as it was.

The disks are real: a tmpfs of 6 MB that only root may mount.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from tests.conftest import Tlearn
from tlearn.base import feature_store
from tlearn.base.errors import TlearnError
from tlearn.base.files import known_disk_fault, whole_file, write_whole
from tlearn.cli.quiet import quieten
from tlearn.data.files.exclusions import write_exclusions
from tlearn.data.files.inspection import Inspection
from tlearn.data.files.inspection_store import InspectionStore
from tlearn.reporting.metrics_file import MetricsFileLogger
from tlearn.training.callbacks.checkpoints import AtomicCheckpointIO

ROOT = "--trainer.default_root_dir"
MB = 10**6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    try:
        refused = subprocess.run(words, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error}")
    if refused.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {refused.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave_bytes: int = 0) -> None:
    """Leave that much room, in whole pages."""
    stat = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - leave_bytes)))


def make_read_only(disk: Path) -> None:
    gc.collect()  # files that pyarrow left open
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def names(disk: Path) -> set[str]:
    """Everything on it but the filler and what locks."""
    files = (path for path in disk.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(disk)) for path in files} - {"filler"}


class FillDisk(Callback):
    """Use up the disk when an epoch, counted from 0, begins."""

    def __init__(self, epoch: int, disk: str, leave_bytes: int) -> None:
        self.epoch, self.disk, self.leave_bytes = epoch, disk, leave_bytes

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            fill(Path(self.disk), self.leave_bytes)


def filling(disk: Path, epoch: int, leave_bytes: int) -> list[str]:
    options = {"epoch": epoch, "disk": disk, "leave_bytes": leave_bytes}
    words = ["--trainer.callbacks+=tests.base.test_disk_full.FillDisk"]
    return words + [f"--trainer.callbacks.{key}={value}" for key, value in options.items()]


def the_error(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.pictures
@pytest.mark.fault(
    "The disk fills up in the second epoch, 1 MB left",
    "one line; both checkpoints of the first epoch; the run goes on once there is room",
)
def test_a_run_on_a_disk_that_fills_keeps_its_checkpoints(tlearn: Tlearn, small: str, disk: Path) -> None:
    words = ["fit", "-c", small, ROOT, str(disk / "runs"), "--trainer.max_epochs", "3"]
    answer = tlearn(*words, *filling(disk, epoch=1, leave_bytes=MB))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: disk full: cannot write {disk}/runs/small/version_0/checkpoints/")
    assert ".ckpt (1.3 MB needed, " in answer.err
    assert "written); free space there, or write to another place" in answer.err
    for name in ("best", "last"):
        path = disk / f"runs/small/version_0/checkpoints/{name}.ckpt"
        assert torch.load(path, weights_only=True)["epoch"] == 0
    assert not [name for name in names(disk) if "partial" in name]
    (disk / "filler").unlink()
    last = str(disk / "runs/small/version_0/checkpoints/last.ckpt")
    assert tlearn(*words, "--ckpt_path", last, *filling(disk, epoch=99, leave_bytes=0)).code == 0


@pytest.mark.pictures
@pytest.mark.fault("The disk fills up in the second epoch, nothing left", "one line; the checkpoint of the first epoch")
def test_a_run_on_a_disk_with_no_room_left_at_all_ends_in_one_line(tlearn: Tlearn, small: str, disk: Path) -> None:
    words = ["fit", "-c", small, ROOT, str(disk / "runs"), "--trainer.max_epochs", "3"]
    answer = tlearn(*words, *filling(disk, epoch=1, leave_bytes=0))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: disk full: cannot write {disk}/runs/small/version_0/")
    assert torch.load(disk / "runs/small/version_0/checkpoints/last.ckpt", weights_only=True)["epoch"] == 0


@pytest.mark.fault(
    "The disk fills up while checkpoints wait in memory",
    "one line; what is said lies on the disk; the run goes on there",
)
@pytest.mark.usefixtures("replacements_wait")
@pytest.mark.parametrize("ends", ["at its end", "by a fault"])
def test_only_what_lies_on_the_disk_is_named(
    ends: str, tlearn: Tlearn, small: str, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["fit", "-c", small, ROOT, str(disk / "runs"), "--trainer.max_epochs", "4", "--resume", "auto"]
    if ends == "by a fault":
        with monkeypatch.context() as patch:
            patch.setattr("tlearn.training.callbacks.guards.FiniteLossCallback.on_train_epoch_end", fail_in_last_epoch)
            answer = tlearn(*words, *filling(disk, epoch=2, leave_bytes=MB))
        assert the_error(answer.err) == "error: ValueError: x; TLEARN_DEBUG=1 shows where it came from"
        assert "disk full: cannot write" in answer.err
    else:
        answer = tlearn(*words, *filling(disk, epoch=2, leave_bytes=MB))
        assert answer.code == 2
        assert the_error(answer.err).startswith(
            f"error: disk full: cannot write {disk}/runs/small/version_0/checkpoints/"
        )
    run = disk / "runs/small/version_0"
    best, last = (torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 0
    (state,) = (state for state in best["callbacks"].values() if state.get("monitor") == "val/acc")
    score = float(state["best_model_score"])
    rows = dict(re.findall(r"^(best epoch|accuracy|validation accuracy|checkpoint) +(.*)", answer.out, re.M))
    assert rows["best epoch"] == "1 of 4, by val/acc"
    assert rows["accuracy"] == f"{100 * score:.1f} %"
    assert rows["checkpoint"] == f"{run}/checkpoints/best.ckpt"
    assert f"once there is room, to go on: tlearn fit --ckpt_path {run}/checkpoints/last.ckpt" in answer.out
    card = json.loads((run / "card.json").read_text())
    assert card["status"].startswith("failed: ")
    assert (card["best"]["value"], card["best"]["epoch"], card["best"]["metrics"]) == (score, 1, {})
    done = 3 if ends == "by a fault" else 4
    assert card["epochs"] == {"done": done, "planned": 4, "saved": 1}
    assert not (run / "evaluation/val.json").exists()
    assert f"failed after {done} of 4 epochs, of which last.ckpt holds 1: " in (run / "card.md").read_text()
    (disk / "filler").unlink()
    answer = tlearn(*words, *filling(disk, epoch=99, leave_bytes=0))
    assert answer.code == 0, answer.err
    assert "resume auto: going on from" in answer.err
    assert "epoch 2/4" in answer.out
    assert json.loads((run / "card.json").read_text())["status"] == "finished"


def fail_in_last_epoch(callback: Callback, trainer: Trainer, *_: Any) -> None:
    if trainer.current_epoch == 3:
        raise ValueError("x")


@pytest.mark.fault("The disk is read-only", "one line before the first step; nothing written")
def test_a_run_on_a_read_only_disk_does_not_begin(tlearn: Tlearn, small: str, disk: Path) -> None:
    make_read_only(disk)
    answer = tlearn("fit", "-c", small, ROOT, str(disk / "runs"))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: read-only disk: cannot write {disk}/runs")
    assert names(disk) == set()


@pytest.mark.fault("No room for the next checkpoint", "the one before, with its bits")
@pytest.mark.usefixtures("replacements_wait")
def test_a_checkpoint_on_a_full_disk_leaves_the_one_before(disk: Path) -> None:
    path, io = disk / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"weight": torch.ones(10)}, path)
    fill(disk, leave_bytes=MB)
    io.save_checkpoint({"weight": torch.ones(MB)}, path)  # waits
    with pytest.raises(TlearnError, match=rf"^disk full: cannot write {path} \(4\.0 MB needed, \d\.\d MB written\); "):
        io.flush()
    assert torch.load(path, weights_only=True)["weight"].tolist() == [1] * 10
    assert names(disk) == {"last.ckpt"}


@pytest.mark.fault("No room for a plan or a list, or a disk that is read-only", "the file before, with its bits")
@pytest.mark.parametrize("saying", ["full", "read-only"])
def test_texts_are_whole_or_as_they_were(disk: Path, saying: str) -> None:
    path = disk / "plan.json"
    write_whole(path, "before")
    (fill if saying == "full" else make_read_only)(disk)
    head = {"full": "disk full: cannot write", "read-only": "read-only disk: cannot write"}[saying]
    with pytest.raises(TlearnError, match=rf"^{head} {path} \(0\.1 MB needed.*\); "):
        write_whole(path, "x" * 100_000)
    with pytest.raises(TlearnError, match=rf"^{head} {disk}/tlearn-exclude\.json"):
        write_exclusions(disk, {"a.jpg": "torn"})
    assert path.read_text() == "before"
    assert names(disk) == {"plan.json"}


@pytest.mark.fault("No room for cached features", "the entry before; nothing half-written is taken for one")
def test_features_on_a_full_disk_leave_the_entry_before(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(disk)
    shape, about = (10_000, 64), {"weights": "a"}  # 2.6 MB
    rows = [np.full((1000, 64), number, np.float32) for number in range(10)]
    feature_store.fill(about, shape, rows, renew=False)
    before = names(disk)
    fill(disk, leave_bytes=MB)
    says = (
        rf"^disk full: cannot write {disk}/\.cache/tlearn/\w+\.npy \(2\.6 MB needed, .* written\); free space there, "
    )
    with pytest.raises(TlearnError, match=says + "or train without: --model.feature_cache off$"):
        feature_store.fill(about, shape, rows, renew=True)
    found = feature_store.load(about)
    assert found is not None
    assert found[::1000, 0].tolist() == list(range(10))
    assert names(disk) == before
    with pytest.raises(TlearnError, match=r"^disk full"):
        feature_store.fill({"weights": "b"}, shape, rows, renew=False)
    assert names(disk) == before


def test_features_on_a_read_only_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(disk)
    make_read_only(disk)
    with pytest.raises(
        TlearnError, match=rf"cannot write features to {disk}/\.cache/tlearn .*--model.feature_cache off"
    ):
        feature_store.fill({}, (1, 2), [np.zeros((1, 2), np.float32)], renew=False)


@pytest.mark.fault("No room for what `doctor` remembers", "a line, and the work goes on")
def test_facts_only_save_time(disk: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(disk)
    facts = tuple(Inspection("", b"d" * 32, "JPEG", "RGB", 8, 8, 5, b"t" * 192, b"h" * 48, 8, 75, "uint8", 3))
    with InspectionStore() as store:
        store.save([(Path("a.jpg"), "stamp", facts)])
        fill(disk)
        store.save([(Path(f"{number}.jpg"), "stamp", facts) for number in range(1000)])
    (line,) = {record.getMessage() for record in said.records if "cannot be used" in record.getMessage()}
    assert line.startswith(f"{disk}/.cache/tlearn/pictures.sqlite cannot be used (")
    (disk / "filler").unlink()
    with InspectionStore() as store:
        assert store.load([Path("a.jpg"), Path("1.jpg")], ["stamp", "stamp"]) == [facts, None]


def log_often(logger: MetricsFileLogger, metrics: dict[str, Tensor | float]) -> None:
    """Log more than a page, which Lightning saves every 100 steps."""
    for step in range(1, 2000):
        logger.log_metrics(metrics, step=step)
    logger.save()


def write_often(writer: SummaryWriter) -> None:
    """Write more than a page, and wait for the thread that does."""
    for step in range(50):
        writer.add_text("text", "x" * 5000, step)
        writer.flush()


def write_then_raise(path: Path, fault: BaseException) -> None:
    """Write another text, and fail before it has its name."""
    with whole_file(path) as partial:
        partial.write_text("after")
        raise fault


@pytest.mark.fault("No room for `metrics.csv`", "whole rows")
def test_metrics_keep_whole_rows(disk: Path) -> None:
    logger = MetricsFileLogger(TensorBoardLogger(str(disk), "run", version=0), str(disk))
    logger.log_metrics({"a": 1.0}, step=0)
    logger.save()
    path = disk / "run/version_0/metrics.csv"
    fill(disk)  # some rows have room in the last page
    columns: list[dict[str, Tensor | float]] = [{"a": 2.0}, {"a": 2.0, "b": 3.0}]
    for metrics in columns:  # rows added; a new column, for which the file is written anew
        with pytest.raises(TlearnError, match=rf"^disk full: cannot write {path}"):
            log_often(logger, metrics)
        text = path.read_text()
        assert text.startswith("a,step\n1.0,0\n2.0,1\n")
        assert text.endswith("\n")
        assert [int(line.split(",")[1]) for line in text.splitlines()[1:]] == list(range(text.count("\n") - 1))
    assert [name for name in names(disk) if "partial" in name] == []


@pytest.mark.fault("No room for TensorBoard's file", "one line that names it")
def test_tensorboard_says_its_file_and_no_traceback(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quieten()
    writer = SummaryWriter(str(disk / "events"))
    fill(disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_often(writer)
    (events,) = (disk / "events").iterdir()
    place = f"cannot write {events}; free space there, or write to another place"
    assert known_disk_fault(caught.value) == f"disk full: {place}"
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert capfd.readouterr().err == ""


@pytest.mark.fault("No room for predictions, or a disk that is read-only", "one line; the file before, with its bits")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_predictions_on_a_full_disk(tlearn: Tlearn, small: str, disk: Path, kind: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1", "--model.freeze_backbone", "true").code == 0
    out = disk / f"out.{kind}"
    out.write_text("before")
    fill(disk)
    answer = tlearn("predict", "-c", small, "--ckpt_path", "best", "--out", str(out))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: disk full: cannot write {out} (")
    assert out.read_text() == "before"
    assert names(disk) == {out.name}
    make_read_only(disk)
    answer = tlearn("predict", "-c", small, "--ckpt_path", "best", "--out", str(out))
    assert answer.code == 2
    assert the_error(answer.err) == f"error: --out {out}: the folder is not writable"


@pytest.mark.fault("No room for an export, or a disk that is read-only", "one line; the file before, with its bits")
@pytest.mark.parametrize(
    "kind", ["safetensors", pytest.param("pt2", marks=pytest.mark.slow), pytest.param("onnx", marks=pytest.mark.slow)]
)
def test_an_export_on_a_full_disk(tlearn: Tlearn, small: str, disk: Path, kind: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1", "--model.freeze_backbone", "true").code == 0
    out = disk / f"out.{kind}"
    out.write_text("before")
    fill(disk, leave_bytes=100_000)
    answer = tlearn("export", "-c", small, "--ckpt_path", "best", "--out", str(out))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: disk full: cannot write {out} (")
    assert out.read_text() == "before"
    assert names(disk) == {out.name}
    make_read_only(disk)
    answer = tlearn("export", "-c", small, "--ckpt_path", "best", "--out", str(out))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: read-only disk: cannot write {out}")


def test_plan_says_that_its_file_has_no_room(tlearn: Tlearn, small: str, disk: Path) -> None:
    out = disk / "plan.json"
    fill(disk)
    answer = tlearn("plan", "-c", small, "--out", str(out))
    assert answer.code == 2
    assert the_error(answer.err).startswith(f"error: disk full: cannot write {out} (")
    assert names(disk) == set()


@pytest.mark.slow
@pytest.mark.fault("A limit on the size of files (`ulimit -f`)", "one line; nothing half-written")
def test_a_limit_on_file_size_ends_in_one_line_and_no_crash(tmp_path: Path) -> None:
    code = """
import resource, sys, torch
from pathlib import Path
from tlearn.base.errors import TlearnError
from tlearn.models import AtomicCheckpointIO
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
try:
    AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(10**6)}, Path(sys.argv[1]))
except TlearnError as error:
    print(error)
"""
    path = tmp_path / "a.ckpt"
    words = [sys.executable, "-c", code, str(path)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(
        f"file too large for the limit (ulimit -f) or the disk: cannot write {path} (4.0 MB"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (
            errno.EDQUOT,
            "quota used up: cannot write PATH (5 bytes written); free space there, or write to another place",
        ),
        (errno.EACCES, "no permission: cannot write PATH (5 bytes written); make the folder writable, or write to"),
        (errno.EIO, "the disk fails: cannot write PATH (5 bytes written); look after it, or write to another place"),
    ],
)
def test_what_a_disk_answers_is_said(tmp_path: Path, number: int, says: str) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    with pytest.raises(TlearnError) as caught:
        write_then_raise(path, OSError(number, os.strerror(number)))
    assert str(caught.value).startswith(says.replace("PATH", str(path)))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    "fault", [ValueError("x"), KeyboardInterrupt(), OSError(errno.EACCES, "no", "other.jpg"), TlearnError("y")]
)
def test_other_faults_stay_what_they_are(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    with pytest.raises(type(fault)) as caught:
        write_then_raise(path, fault)
    assert caught.value is fault
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for owner, name in ((os, "fsync"), (Path, "replace")):
        before: Callable[..., Any] = getattr(owner, name)

        def noted(*words: Any, name: str = name, before: Callable[..., Any] = before) -> Any:
            order.append(name)
            return before(*words)

        monkeypatch.setattr(owner, name, noted)
    write_whole(tmp_path / "a", "text")
    assert order == ["fsync", "replace"]
