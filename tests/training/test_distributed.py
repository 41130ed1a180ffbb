"""Two processes on Lightning's own engine (gloo on CPUs) do what one does: the same weights, numbers and rows."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat
from tests.helpers.two_processes import CONFIG, TWO, assert_same_weights, done, started
from tlearn import validate
from tlearn.base.errors import TlearnError
from tlearn.base.processes import Share
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.training.ddp import weight_among_processes
from tlearn.training.strategies.features import positions_of


def values(run: str) -> dict[str, float]:
    """Every number that the card has of training and validation.

    But for times, and for the training loss: where classes weigh differently, a mean of means is of other parts.
    """
    metrics = json.loads(Path("runs", run, "version_0/card.json").read_text())["metrics"]
    return {name: value for name, value in metrics.items() if name not in ("train/images_per_s", "train/loss")}


@pytest.fixture
def one(tlearn: Tlearn) -> str:
    """What one process does with the config."""
    for name in ("one", "two", "torchrun"):
        Path(f"{name}.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "one.yaml")
    assert answer.code == 0, answer.err
    return "one"


@pytest.mark.fault("Two processes in place of one", "the same weights, to 1e-5")
@pytest.mark.slow
def test_a_fit_by_two_is_that_by_one(one: str) -> None:
    out, err = done("fit", "--config", "two.yaml", *TWO)
    assert_same_weights("two", one)
    assert values("two") == pytest.approx(values(one), abs=1e-5)
    assert re.search("val/acc", str(values("two")))
    assert sorted(path.name for path in Path("runs/two").iterdir()) == ["version_0"]
    assert out.count("epoch 1/3") == out.count("next: ") == 1  # one process speaks
    assert "Warning" not in err
    assert err.count("2 processes, which divide each batch of 8 images") == 1
    # As clusters start it: by torchrun, and by SLURM's own variables.
    done("torch.distributed.run", "--nproc_per_node=2", "-m", "tlearn", "fit", "--config", "torchrun.yaml", *TWO)
    assert_same_weights("torchrun", one)


@pytest.mark.slow
def test_batch_norm_is_the_first_processes_wherever_it_is_asked(tlearn: Tlearn) -> None:
    follows = CONFIG.replace("batch_norm: fixed", "batch_norm: follows").replace("unfreeze:", "lr_scales: {}  #")
    Path("two.yaml").write_text(follows)
    done("fit", "--config", "two.yaml", *TWO)
    metrics = json.loads(Path("runs/two/version_0/card.json").read_text())["metrics"]
    found = validate(ckpt_path="runs/two/version_0/checkpoints/last.ckpt")  # of 21 images: two batches and one
    assert found.metrics["val/loss"] == pytest.approx(metrics["val/loss"], rel=1e-6)


@pytest.mark.slow
def test_what_two_began_one_goes_on_with_elsewhere(one: str, tlearn: Tlearn) -> None:
    done("fit", "--config", "two.yaml", *TWO, "--trainer.max_epochs", "2")
    Path("runs").rename("moved")
    words = ["--trainer.devices", "1", "--trainer.strategy", "auto", "--trainer.max_epochs", "3"]
    answer = tlearn("fit", "--ckpt_path", "moved/two/version_0", *words)
    assert answer.code == 0, answer.err
    assert answer.out.count("epoch 3/3") == 1
    Path("runs").mkdir(exist_ok=True)
    assert tlearn("fit", "--config", f"{one}.yaml").code == 0
    Path("moved/two").rename("runs/two")
    assert_same_weights("two", one)


@pytest.mark.slow
def test_started_by_slurm(one: str) -> None:
    shared = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_ID": str(20000 + os.getpid() % 9999)}
    shared |= {"SLURM_JOB_NAME": "tlearn", "SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0", "SLURM_NNODES": "1"}
    words = ("fit", "--config", "two.yaml", "--config", "cluster/ddp.yaml", "--trainer.devices", "2")
    tasks = [started(*words, **shared, SLURM_PROCID=str(n), SLURM_LOCALID=str(n)) for n in range(2)]
    said = [task.communicate(timeout=600) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert_same_weights("two", one)
    assert said[1][0] == ""


@pytest.mark.slow
def test_features_are_computed_by_shares_and_stored_once(tlearn: Tlearn) -> None:
    frozen = CONFIG
    for old, new in {
        "unfreeze: {layer1: 1, stem: 2}": "freeze_backbone: true",
        "class_weights: [1, 2, 3]": "head_init: probe",
        "max_epochs: 3": "max_epochs: 1",
        "train_per_class: 13, ": "",
        "[0, 1, 2]": "null",
        "size_px: 16, augment: {flip: true}": "size_px: 8",
    }.items():
        assert old in frozen
        frozen = frozen.replace(old, new)
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(frozen)
    answer = tlearn("fit", "--config", "one.yaml")
    assert answer.code == 0, answer.err
    stored = {path.name: path.read_bytes() for path in Path(".cache/tlearn").glob("*.npy")}
    assert len(stored) == 2
    Path(".cache").rename("cache_of_one")
    _, err = done("fit", "--config", "two.yaml", *TWO)
    assert {path.name: path.read_bytes() for path in Path(".cache/tlearn").glob("*.npy")} == stored
    assert err.count("computed once") == 2
    assert err.count("head solved on frozen features by lbfgs") == 1
    assert_same_weights("two", "one")


@pytest.mark.fault("Two processes test and predict", "every image once, in order; the bytes of one")
@pytest.mark.slow
def test_every_image_is_tested_and_predicted_once(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "--config", small).code == 0
    best = "runs/small/version_0/checkpoints/best.ckpt"
    card = Path("runs/small/version_0/card.json")
    words = ("test", "--ckpt_path", best, "--data.init_args.batch_size", "4")  # 107 images: 27 batches, the last of 3
    assert tlearn(*words).code == 0
    alone = json.loads(card.read_text())["test"]["metrics"]
    table = Path("runs/small/version_0/evaluation/test_predictions.csv")
    rows = table.read_bytes() if table.exists() else b""
    out, _ = done(*words, *TWO)
    assert json.loads(card.read_text())["test"]["metrics"] == pytest.approx(alone, abs=1e-6)
    assert json.loads(card.read_text())["test"]["metrics"]["test/acc"] == alone["test/acc"]
    assert (table.read_bytes() if table.exists() else b"") == rows
    write_flat(Path("pictures"), 5)
    Path("pictures/02_broken.png").write_bytes(b"no picture")
    asked = ("predict", "--ckpt_path", best, "--data", "pictures", "--data.batch_size", "2")
    assert tlearn(*asked, "--out", "one.csv").code == 0
    out, _ = done(*asked, "--out", "two.csv", *TWO)
    said, strangers = out.splitlines()
    assert said == "predictions: two.csv: 6 rows, 1 of them unreadable (see the column error)"
    assert strangers.startswith("strangers: 5 of 5 pictures look stranger than 95 % of 21 validation pictures")
    assert Path("two.csv").read_bytes() == Path("one.csv").read_bytes()
    with Path("two.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert len(paths) == 6
    assert paths == sorted(set(paths))
    assert list(Path().glob(".*two.csv*")) == []


@pytest.fixture
def running(tlearn: Tlearn) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A fit by two that would go on for hours, in its second epoch, and the second process's number."""
    Path("two.yaml").write_text(CONFIG.replace("max_epochs: 3", "max_epochs: 100000"))
    main = started("fit", "--config", "two.yaml", "--trainer.enable_progress_bar", "false", *TWO)
    assert main.stdout is not None
    while "epoch 2/" not in main.stdout.readline():
        assert main.poll() is None, main.communicate()
    second = int(Path(f"/proc/{main.pid}/task/{main.pid}/children").read_text().split()[0])
    yield main, second
    for process in (main.pid, second):
        if is_alive(process):
            os.kill(process, signal.SIGKILL)
    main.communicate()


def is_alive(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@pytest.mark.fault("One of two processes is killed", "the other ends; the checkpoint is whole")
@pytest.mark.slow
def test_a_process_that_dies_ends_the_others(running: tuple[subprocess.Popen[str], int]) -> None:
    main, second = running
    os.kill(second, signal.SIGKILL)
    _, err = main.communicate(timeout=120)
    assert main.returncode in (2, -signal.SIGKILL), err  # Lightning's observer, which looks every 5 s, may be the first
    if main.returncode == 2:
        assert "error: another process of this run ended, and this one cannot go on alone" in err
        assert "Traceback" not in err
    assert torch.load("runs/two/version_0/checkpoints/last.ckpt", weights_only=True)["epoch"] > 0


@pytest.mark.fault("The first of two processes is killed", "the other ends")
@pytest.mark.slow
def test_the_first_process_takes_the_others_along(running: tuple[subprocess.Popen[str], int]) -> None:
    main, second = running
    os.kill(main.pid, signal.SIGKILL)
    end_s = time.monotonic() + 120
    while is_alive(second) and time.monotonic() < end_s:
        time.sleep(0.2)
    assert not is_alive(second)


@pytest.mark.fault("SIGTERM to the first of two processes", "both stop at one step, and go on there")
@pytest.mark.slow
def test_a_signal_stops_both_at_one_step(running: tuple[subprocess.Popen[str], int], tlearn: Tlearn) -> None:
    main, second = running
    main.send_signal(signal.SIGTERM)
    out, err = main.communicate(timeout=120)
    assert main.returncode == 143, err
    assert not is_alive(second)
    stopped = re.search(r"stopped after step (\d+)\nto go on: python -m tlearn (.*)\n", out)
    assert stopped is not None, out
    epochs = str(int(stopped[1]) // 5 + 1)  # of five steps
    done(*stopped[2].split(), "--trainer.max_epochs", epochs)
    Path("one.yaml").write_text(CONFIG)
    assert tlearn("fit", "--config", "one.yaml", "--trainer.max_epochs", epochs).code == 0
    assert_same_weights("two", "one")
    assert values("two") == pytest.approx(values("one"), abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("plan", *TWO),
            "this runs on one device, fit, validate, test and predict on several; set trainer.devices to 1",
        ),
        (("fit", *TWO, "--find_lr"), "find_lr runs on one device; batch_size counts the images of all devices"),
        (("fit", *TWO[:3], "ddp_spawn"), "several devices run as processes that --trainer.strategy ddp starts"),
        (("fit", *TWO[:3], "fsdp"), "The strategy `fsdp` requires a GPU accelerator"),
    ],
)
def test_what_several_devices_cannot_do(tlearn: Tlearn, small: str, words: tuple[str, ...], message: str) -> None:
    answer = tlearn(words[0], "--config", small, *words[1:])
    assert answer.code == 2
    assert message in answer.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(("n_images", "processes"), [(39, 2), (33, 2), (35, 2), (36, 3), (64, 4), (11, 3), (8, 4)])
def test_a_batch_is_divided_and_none_is_left_alone(n_images: int, processes: int) -> None:
    def parts(processes: int, rank: int) -> list[Tensor]:
        sampler = EpochBatchSampler(n_images, 8, True, False, seed=1, share=Share(rank, processes))
        batches = [each.positions for each in sampler]
        assert len(batches) == len(sampler)
        return batches

    each = [parts(processes, rank) for rank in range(processes)]
    together = [torch.cat(batch) for batch in zip(*each, strict=True)]
    assert torch.equal(torch.cat(together), torch.cat(parts(1, 0)))  # the same order
    assert min(len(part) for rank in each for part in rank) >= 2
    for batch in zip(*each, strict=True):
        assert max(map(len, batch)) - min(map(len, batch)) <= 1


@pytest.mark.parametrize(("n_images", "processes"), [(39, 2), (8, 2), (3, 2), (33, 3)])
def test_whole_batches_are_dealt_out_to_evaluate(n_images: int, processes: int) -> None:
    each = [list(EpochBatchSampler(n_images, 8, False, False, 0, Share(rank, processes))) for rank in range(processes)]
    seen = torch.cat([key.positions for rank in each for key in rank])
    assert sorted(seen.tolist()) == list(range(n_images))
    assert min(map(len, each)) >= 1  # one without a batch would not come to where the others wait for it
    if n_images >= 8 * processes:
        assert [key.positions[0].item() for key in each[0]] == list(range(0, n_images, 8 * processes))


def test_too_few_images_for_the_processes() -> None:
    with pytest.raises(TlearnError, match=r"^1 images to evaluate cannot be divided between 2 processes"):
        EpochBatchSampler(1, 8, False, False, 0, Share(0, 2))
    with pytest.raises(TlearnError, match=r"^a training batch of 1 images cannot be divided between 2 processes"):
        EpochBatchSampler(8, 1, True, False, 0, Share(0, 2))


@pytest.mark.parametrize("images", [0, 5, 512, 1437, 4096])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_shares_of_features_are_whole_batches(images: int, processes: int) -> None:
    shares = [positions_of(Share(rank, processes), images, 512) for rank in range(processes)]
    assert [position for share in shares for position in share] == list(range(images))
    assert all(len(share) % 512 == 0 for share in shares[:-1])


def test_the_weight_of_a_loss_alone_is_one() -> None:
    targets, weights = torch.tensor([0, 1, 1]), torch.tensor([1.0, 3.0])
    assert weight_among_processes("classification", targets, weights, 1) == 1
    assert weight_among_processes("regression", targets[:, None].float(), None, 1) == 1
