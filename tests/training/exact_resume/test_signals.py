"""Real signals to real processes: Ctrl-C, SIGTERM and SLURM's warning cost no step (C38)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from tests.conftest import Answer, Tlearn
from tests.helpers.dashboard_server import heed_ctrl_c
from tests.helpers.runs import last
from tlearn import main

# Steps and validation batches take long enough to be met by a signal; each says where it is.
SLOW_STEPS = """
import sys, time
from tlearn import main
from tlearn.models import TransferModule
from tlearn.training.strategies.kept import rows

def slow(name, owner, attribute):
    call = getattr(owner, attribute)
    def slowly(*args, **options):
        print("at", name, flush=True)
        time.sleep(float({pause_s}))
        return call(*args, **options)
    setattr(owner, attribute, slowly)

slow("step", TransferModule, "training_step")
slow("validation", TransferModule, "validation_step")
slow("features", rows, "fill_rows")
sys.exit(main(sys.argv[1:]))
"""
NONE: Mapping[str, str] = {}
AUGMENTED = ["--data.augment", "{flip: true, crop_padding_px: 2}", "--trainer.num_sanity_val_steps", "0"]


def stopped(
    words: list[str],
    place: str,
    count: int,
    send: Callable[[int], None],
    pause_s: float = 0.3,
    variables: Mapping[str, str] = NONE,
) -> Answer:
    """Start `tlearn`, send signals when it is at a place for the so-many-th time, and wait for its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}  # as here: their number changes the last bits
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_STEPS.format(pause_s=pause_s), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # a process group of its own, as a terminal gives it
        preexec_fn=heed_ctrl_c,
    )
    assert process.stdout is not None
    out = ""
    for line in process.stdout:
        out += line
        if out.count(f"at {place}\n") == count and line.startswith("at"):
            send(process.pid)
            break
    rest, err = process.communicate(timeout=120)
    return Answer(process.returncode, out + rest, err)


@pytest.mark.fault("Ctrl-C, SIGTERM, SIGUSR1", "the step is finished; `last.ckpt` goes on there, with the same bits")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "place", "count", "steps", "words"),
    [
        (signal.SIGINT, 130, "step", 2, 2, []),
        (signal.SIGTERM, 143, "step", 5, 5, ["--data.num_workers", "2"]),
        (signal.SIGUSR1, 138, "validation", 1, 3, []),
        (signal.SIGTERM, 143, "step", 1, 2, ["--trainer.accumulate_grad_batches", "2"]),
    ],
)
def test_a_signal_costs_no_step(
    number: signal.Signals,
    code: int,
    place: str,
    count: int,
    steps: int,
    words: list[str],
    tlearn: Tlearn,
    small: str,
    tmp_path: Path,
) -> None:
    words = ["fit", "-c", small, *AUGMENTED, *words]
    assert tlearn(*words, "--trainer.default_root_dir", "whole").code == 0
    answer = stopped(words, place, count, lambda pid: os.killpg(pid, number))
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    path = tmp_path / "runs/small/version_0/checkpoints/last.ckpt"
    stepped = torch.load(path, weights_only=True)["global_step"]
    assert answer.out.count("at step") == steps
    if place == "validation":
        assert answer.out.count("at validation") == count
    assert stepped == (steps if "--trainer.accumulate_grad_batches" not in words else 1)
    assert f"stopped after step {stepped}\nto go on: tlearn fit --ckpt_path {path.relative_to(tmp_path)}" in (
        answer.out.replace(f"{tmp_path}/", "")
    )
    assert f"{number.name}: fit saves and stops after this step; a second {number.name} stops it at once" in answer.err
    card = json.loads((path.parents[1] / "card.json").read_text())
    assert card["status"] == "interrupted"
    assert tlearn("fit", "--ckpt_path", "last", "-c", small, *words[3:]).code == 0
    expected = torch.load("whole/small/version_0/checkpoints/last.ckpt", weights_only=True)
    torch.testing.assert_close(last(tmp_path)["state_dict"], expected["state_dict"], rtol=0, atol=0)
    assert str(last(tmp_path)["optimizer_states"]) == str(expected["optimizer_states"])
    assert json.loads((path.parents[1] / "card.json").read_text())["status"] == "finished"


@pytest.mark.fault("Ctrl-C twice", "stops at once; the checkpoint before is whole")
@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def twice(pid: int) -> None:
        for _ in range(2):
            os.killpg(pid, signal.SIGINT)
            time.sleep(0.5)

    start_s = time.monotonic()
    answer = stopped(["fit", "-c", small, *AUGMENTED], "step", 1, twice, pause_s=60)
    assert answer.code == 130
    assert time.monotonic() - start_s < 60
    assert "stopped before the first checkpoint; the same command starts anew" in answer.out
    assert not list(tmp_path.glob("runs/*/*/checkpoints/*"))


@pytest.mark.slow
def test_before_the_first_step_it_stops_at_once(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "-c", small, "--model.freeze_backbone", "true"]
    answer = stopped(words, "features", 2, lambda pid: os.kill(pid, signal.SIGTERM), pause_s=3)
    assert answer.code == 143
    assert "Traceback" not in answer.err
    assert "at step" not in answer.out
    assert "stopped before the first checkpoint; the same command starts anew" in answer.out
    assert len(list(tmp_path.glob(".cache/tlearn/*.npy"))) == 1
    assert not list(tmp_path.glob(".cache/tlearn/.*"))


@pytest.mark.fault("SLURM's warning that a job's time is over", "the job is queued anew and goes on")
@pytest.mark.slow
@pytest.mark.parametrize("resume", [[], ["--resume", "auto"]])
def test_slurm_queues_a_job_anew_that_goes_on(
    resume: list[str], small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scontrol = tmp_path / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text('#!/bin/sh\necho "$@" > asked.txt\n')
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_NODELIST": "here"}
    job |= {
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
    }
    words = ["fit", "-c", small, *AUGMENTED, *resume]
    answer = stopped(words, "step", 1, lambda pid: os.kill(pid, signal.SIGUSR1), variables=job)
    assert answer.code == 138, answer.err
    assert Path("asked.txt").exists() is bool(resume)
    if resume:
        assert Path("asked.txt").read_text() == "requeue 7\n"
        assert "job 7 is queued anew" in answer.err
    assert not list(tmp_path.rglob("hpc_ckpt*"))
    assert last(tmp_path)["global_step"] == 1


def test_handlers_are_put_back(tlearn: Tlearn, small: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1").code == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_main_runs_in_a_thread(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = list[int]()
    thread = threading.Thread(target=lambda: codes.append(main(["fit", "-c", small, "--trainer.max_epochs", "1"])))
    thread.start()
    thread.join()
    assert codes == [0]
