"""Two runs started together, in processes of their own, on the same folder, cache and data: neither harms the other.

Left to chance they would rarely meet. Here each waits for the other at the places named, once, before it goes on.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5

from tests.conftest import Tlearn

REPOSITORY = Path(__file__).parents[3]
FIT = ["fit", "-c", "small.yaml", "--model.freeze_backbone", "true"]
RUNS = Path("runs/small")
pytestmark = pytest.mark.slow
VERSION = "lightning.pytorch.loggers.tensorboard.TensorBoardLogger._get_next_version"
RECORD = "tlearn.training.callbacks.run_folder._claim"
FILL = "tlearn.training.strategies.kept.rows.fill_rows"
RENAME = "pathlib.Path.replace"
PATIENCE_S = 600
_PROCESS = """
import importlib, json, os, sys, time
from pathlib import Path
import tlearn, tlearn.cli.transfer_cli

places, checksums, commands, patience_s = json.loads(sys.argv[1])

def wait_at(place, me):
    owner, name = place.rsplit(".", 1)
    try:
        owner = importlib.import_module(owner)
    except ModuleNotFoundError:
        module, kind = owner.rsplit(".", 1)
        owner = getattr(importlib.import_module(module), kind)
    before = getattr(owner, name)
    def meeting(*given, **options):
        looks = name == "_get_next_version"
        found = before(*given, **options) if looks else None
        Path(f"at-{place}-{me}").touch()
        end = time.monotonic() + patience_s
        while not Path(f"at-{place}-{1 - me}").exists():
            assert time.monotonic() < end, f"{me} waits alone at {place}"
            time.sleep(0.005)
        return found if looks else before(*given, **options)
    setattr(owner, name, meeting)

def run(me):
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{name}-{me}", os.O_CREAT | os.O_WRONLY), stream)
    from torchvision.datasets import CIFAR10
    for name, value in checksums.items():
        setattr(CIFAR10, name, value)
    for place in places:
        wait_at(place, me)
    code = tlearn.main(commands[me])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

children = []
for me in range(2):
    children.append(os.fork())
    if not children[-1]:
        run(me)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


class Done(NamedTuple):
    """What a process left behind."""

    code: int
    out: str
    err: str


def together(*commands: list[str], at: list[str], checksums: dict[str, object] | None = None) -> list[Done]:
    """Run two commands in the working folder, which meet at the functions named; neither shows a traceback."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PROCESS, json.dumps([at, checksums or {}, commands, PATIENCE_S])]
    both = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=PATIENCE_S,
    )
    assert both.returncode == 0, both.stderr
    codes: list[int] = json.loads(both.stdout)
    done = [Done(code, Path(f"out-{me}").read_text(), Path(f"err-{me}").read_text()) for me, code in enumerate(codes)]
    assert not [each for each in done if "Traceback" in each.err], done
    assert all(Path(f"at-{place}-{me}").exists() for place in at for me in range(2)), "they did not meet"
    return done


def state_of(version: int, name: str = "last") -> dict[str, torch.Tensor]:
    path = RUNS / f"version_{version}/checkpoints/{name}.ckpt"
    return dict(torch.load(path, weights_only=True)["state_dict"])


@pytest.mark.fault("Two runs are started together", "two folders; features computed once; the same bits in both")
@pytest.mark.usefixtures("tlearn", "small")
def test_two_runs_get_two_folders_and_compute_features_once() -> None:
    done = together(FIT, FIT, at=[VERSION, FILL])
    assert [each.code for each in done] == [0, 0], done
    said = done[0].err + done[1].err
    assert (said.count("computed once"), said.count("from the cache")) == (2, 2), said  # of train, and of val
    assert sorted(path.name for path in RUNS.iterdir()) == ["version_0", "version_1"]
    for name in ("best", "last"):
        first, second = (state_of(version, name) for version in range(2))
        assert all(torch.equal(first[key], value) for key, value in second.items())
    for version in range(2):
        run = RUNS / f"version_{version}"
        card = json.loads((run / "card.json").read_text())
        assert (card["status"], card["version"], card["folder"]) == ("finished", version, str(run))
        assert sum(f"{run}/report.html" in each.out for each in done) == 1
        assert len((run / "metrics.csv").read_text().splitlines()) == 1 + 2 * 3  # rates, validation, training
        assert len(list(run.glob("events.*"))) == 1


@pytest.mark.fault("Two runs are given the same folder", "one run whole; the other, and a third, refused in one line")
def test_of_two_runs_with_one_folder_the_second_is_refused(tlearn: Tlearn, small: str) -> None:
    named = [*FIT, "--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "out"]
    named += ["--trainer.logger.version", "7"]
    done = sorted(together(named, named, at=[RECORD]))
    assert [each.code for each in done] == [0, 2], done
    config = Path("out/lightning_logs/version_7/config.yaml").absolute()
    refusal = f"error: {config} exists: the folder holds another run; move it, or unset the logger's version"
    assert refusal in done[1].err.splitlines()
    card = json.loads((config.parent / "card.json").read_text())
    assert card["status"] == "finished"
    kept = {path.name: path.read_bytes() for path in config.parent.rglob("*") if path.is_file()}
    third = tlearn(*named)
    assert (third.code, third.err.splitlines()[-1]) == (2, refusal)
    found = {path.name: path.read_bytes() for path in config.parent.rglob("*") if path.is_file()}
    assert {name: content for name, content in found.items() if name in kept} == kept


@pytest.mark.fault("Two processes go on with the same run", "the second is refused")
def test_of_two_that_go_on_with_one_run_the_second_is_refused(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small).code == 0
    last = f"{RUNS}/version_0/checkpoints/last.ckpt"
    more = ["fit", "--ckpt_path", last, "--trainer.max_epochs"]
    first = subprocess.Popen([sys.executable, "-m", "tlearn", *more, "100000"], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    while "epoch 4/" not in first.stdout.readline():
        assert first.poll() is None
    second = tlearn(*more, "9")
    first.kill()
    first.communicate()
    assert second.code == 2
    folder = Path(RUNS, "version_0").absolute()
    refusal = f"error: another process trains in {folder}; wait for it, or begin a new run without --ckpt_path"
    assert second.err.splitlines()[-1] == refusal
    epochs = torch.load(last, weights_only=True)["epoch"] + 3
    assert tlearn(*more, str(epochs)).code == 0  # who was killed holds nothing


def test_two_runs_without_a_logger_get_two_folders(tlearn: Tlearn, small: str) -> None:
    done = together(*[[*FIT, "--trainer.logger", "false"]] * 2, at=["tlearn.cli.transfer_cli.make_run_folder"])
    assert [each.code for each in done] == [0, 0], done
    assert all(torch.equal(state_of(0)[key], value) for key, value in state_of(1).items())


@pytest.mark.fault("Two runs unpack the same data set", "both trained; every file whole, nothing beside them")
def test_two_runs_unpack_one_data_set(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "root" / str(CIFAR10.filename)
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cifar_root / CIFAR10.base_folder, CIFAR10.base_folder)
    checksums = {name: getattr(CIFAR10, name) for name in ("train_list", "test_list", "meta")}
    checksums["tgz_md5"] = calculate_md5(archive)
    words = ["fit", "-c", "finetune.yaml", "--model.weights", "null", "--data.root", "root", "--model.tap", "stem"]
    words += ["--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"]
    done = together(words, words, at=[RENAME], checksums=checksums)
    assert [each.code for each in done] == [0, 0], done
    assert sorted(path.name for path in archive.parent.iterdir()) == sorted([CIFAR10.base_folder, archive.name])
    for path in (cifar_root / CIFAR10.base_folder).iterdir():
        assert (archive.parent / CIFAR10.base_folder / path.name).read_bytes() == path.read_bytes()


@pytest.mark.fault("Two predictions go into the same file", "one of the two answers, whole")
def test_two_predictions_into_one_file(tlearn: Tlearn, small: str) -> None:
    assert tlearn(*FIT).code == 0
    words = ["predict", "-c", "small.yaml", "--ckpt_path", "last", "--out", "out.csv"]
    done = together(words, [*words, "--top_k", "1"], at=[RENAME])
    assert [each.code for each in done] == [0, 0], done
    with Path("out.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 21
    assert not [path for path in Path().iterdir() if "partial" in path.name]
