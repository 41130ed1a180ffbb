"""Several processes of one command share the runs of a comparison, and a killed one's run is taken up again."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SMALL, Tlearn
from tlearn.base.locks import NOT_LOCKED
from tlearn.commands.compare import lease, sharing, study
from tlearn.training.module import TransferModule

ROOT = Path(__file__).parents[2]
GRID = ["--sweep", "model.optimizer.lr=1e-3,1e-2,3e-2,1e-1", "--trainer.max_epochs", "1"]
DRAWN = ["--sweep", "model.optimizer.lr=1e-4..1e-1", "--sweep", "data.batch_size=6..12", "--trainer.max_epochs", "1"]
PLACE = Path("runs/sweep/small")

# Forks, so that torch is imported once. The first run of each begins when all have begun one: they work at the same
# time. The first worker kills itself in the middle of its run.
WORKERS = """
import json, os, signal, sys, time
from pathlib import Path
import tlearn.cli.callbacks, tlearn.cli.transfer_cli, tlearn.commands.compare.sweep
from tlearn import main
from tlearn.training.module import TransferModule

count, dies, words = int(sys.argv[1]), sys.argv[2] == "dies", json.loads(sys.argv[3])
begin, step = TransferModule.on_train_start, TransferModule.training_step

def begun(module):
    with open("trained.txt", "a") as file:
        file.write(f"{number} {module.trainer.log_dir}\\n")
    until = time.monotonic() + 100
    while len({line.split()[0] for line in open("trained.txt")}) < count and time.monotonic() < until:
        time.sleep(0.02)
    begin(module)

def stepped(module, *batch):
    if dies and number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(module, *batch)

TransferModule.on_train_start, TransferModule.training_step = begun, stepped
children = []
for number in range(count):
    child = os.fork()
    if not child:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        os._exit(main([*words, "--out", f"{number}.json"]))
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def work(count: int, *words: str, dies: bool) -> list[int]:
    """Let so many processes do one command, and return how they ended."""
    command = [sys.executable, "-c", WORKERS, str(count), "dies" if dies else "lives", json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def said(number: int) -> str:
    return Path(f"{number}.out").read_text() + Path(f"{number}.err").read_text()


def table(text: str) -> str:
    return text[text.index("validation images") - 400 :].partition("accuracy %")[2]


def scores(path: str) -> dict[str, Any]:
    """What came of a comparison, but for what it took."""
    standings = json.loads(Path(path).read_text())["standings"]
    return {each["name"]: [run["scores"] for run in each["runs"]] for each in standings}


def trained() -> list[str]:
    return [line.split()[1] for line in Path("trained.txt").read_text().splitlines()]


def by_hand(folder: Path, machine: str, content: str = "") -> Path:
    """Make what a worker leaves in a folder."""
    folder.mkdir(parents=True)
    path = folder / ".worker-1"
    path.write_text(content or json.dumps({"machine": machine, "host": "there", "pid": 1}))
    return path


def test_processes_share_a_grid_and_take_up_what_a_killed_one_left(tlearn: Tlearn, small: str) -> None:
    assert work(3, "fit", "-c", small, *GRID, dies=True) == [-9, 0, 0]
    variants = {f"{PLACE}/lr={lr}-seed0/version_0" for lr in ("0.001", "0.01", "0.03", "0.1")}
    runs = trained()
    assert set(runs) == variants
    (left,) = {run for run in runs if runs.count(run) > 1}  # begun by the killed one, and by one of the others
    assert sorted(runs) == sorted([*variants, left])
    assert f"it was not finished; the run in {Path(left).parent} is replaced" in said(1) + said(2)
    assert table(said(1).replace("\n1.json", "")) == table(said(2))
    assert not list(Path("runs").rglob("version_1"))
    alone = tlearn("fit", "-c", small, *GRID, "--out", "alone.json", "--trainer.default_root_dir", "other")
    assert alone.code == 0, alone.err
    assert scores("1.json") == scores("2.json") == scores("alone.json")
    assert list(scores("1.json")) == list(scores("alone.json"))


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sweep.log", "sqlite:///sweep.db"])
def test_processes_share_drawn_trials(storage: str, tlearn: Tlearn, small: str) -> None:
    words = ["fit", "-c", small, *DRAWN, "--trials", "5"]
    assert work(3, *words, "--storage", storage, dies=True) == [-9, 0, 0]
    assert table(said(1).replace("\n1.json", "")) == table(said(2))
    states = [trial.state.name for trial in trials_in(storage)]
    assert sorted(states) == ["COMPLETE"] * 5 + ["FAIL"]
    (failed,) = (trial for trial in trials_in(storage) if trial.state.name == "FAIL")
    again = [trial for trial in trials_in(storage) if trial.params == failed.params]
    assert [trial.state.name for trial in again] == ["FAIL", "COMPLETE"]
    # The first draws depend on the slot alone, so that one process tries the same.
    alone = tlearn(*words, "--out", "alone.json", "--trainer.default_root_dir", "other")
    assert alone.code == 0, alone.err
    assert scores("1.json") == scores("2.json") == scores("alone.json")


def trials_in(storage: str) -> list[Any]:
    optuna = pytest.importorskip("optuna")
    opened = (
        storage
        if "://" in storage
        else optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(storage))
    )
    (found,) = optuna.get_all_study_summaries(opened)
    return list(optuna.load_study(study_name=found.study_name, storage=opened).trials)


def test_a_trial_that_was_stopped_is_taken_again_with_its_values(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["fit", "-c", small, *DRAWN, "--trials", "2", "--storage", "sweep.log"]
    with monkeypatch.context() as patched:
        patched.setattr(TransferModule, "training_step", stop)
        assert tlearn(*words).code == 130
    monkeypatch.setattr(study, "_SEED", 7)  # values that were drawn again would be others
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    stopped, again, other = trials_in("sweep.log")
    assert [trial.state.name for trial in (stopped, again, other)] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert stopped.params == again.params != other.params
    # Another begins the same study in another folder, whose runs these workers would not see.
    answer = tlearn(*words, "--trainer.default_root_dir", "other")
    assert answer.code == 2
    assert f"the runs of this study are in {(PLACE / 'study-').absolute()}" in answer.err
    # More trials go on, and options that are other are another study.
    for more, expected in ((["--trials", "3"], 3), (["--model.head_dropout", "0.1", "--trials", "1"], 1)):
        answer = tlearn(*words, *more, "--out", "all.json")
        assert answer.code == 0, answer.err
        assert len(scores("all.json")) == expected
    assert "sweep.log holds 1 other study of small, with other options or data; small-" in answer.err


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_who_diverged_is_not_tried_again(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["fit", "-c", small, "--sweep", "model.optimizer.lr=1e30,1e-2", "--trainer.max_epochs", "1"]
    first = tlearn(*words)
    assert first.code == 0, first.err
    monkeypatch.setattr(TransferModule, "training_step", stop)
    again = tlearn(*words)
    assert again.code == 0, again.err
    for answer in (first, again):
        assert answer.err.count("lr=1e+30 is left out: the training loss is nan in epoch 1") == 1
    assert table(first.out) == table(again.out)


def test_another_machine_counts_as_dead_when_it_is_silent(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = PLACE / "lr=0.01-seed0"
    mark = by_hand(folder, "another")
    (folder / "version_0").mkdir()  # where it may go on if it wakes up
    words = ["fit", "-c", small, "--sweep", "model.optimizer.lr=1e-2,1e-1", "--trainer.max_epochs", "1"]
    answer = tlearn(*words, "--no-wait")
    assert answer.code == 0, answer.err
    assert answer.out.endswith("not finished yet: 1 run of others; the same command prints the table when they are\n")
    assert mark.exists()
    monkeypatch.setattr(lease, "SILENT_S", 0.5)
    monkeypatch.setattr(sharing, "POLL_S", 0.1)
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert "waiting for 1 run of others, Ctrl-C leaves them going\n" in answer.err
    assert f"the run in {folder} stays beside the new one" in answer.out
    assert sorted(path.name for path in folder.iterdir()) == [".worker-2", "result.json", "version_0", "version_1"]


def test_a_worker_that_was_taken_for_dead_writes_no_result(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = PLACE / "lr=0.01-seed0"
    begin = TransferModule.on_train_start

    def overtaken(module: TransferModule) -> None:
        if "lr=0.01" in str(module.trainer.log_dir):
            (folder / ".worker-2").write_text(json.dumps({"machine": "another"}))
        begin(module)

    monkeypatch.setattr(TransferModule, "on_train_start", overtaken)
    words = ["fit", "-c", small, "--sweep", "model.optimizer.lr=1e-2,1e-1", "--trainer.max_epochs", "1"]
    answer = tlearn(*words, "--no-wait")
    assert answer.code == 0, answer.err
    assert "not finished yet: 1 run of others" in answer.out
    assert not (folder / "result.json").exists()


def test_a_folder_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    mine = lease.Leases().take(folder)
    assert mine is not None
    assert (mine.alone, mine.is_held()) == (True, True)
    assert lease.Leases().take(folder) is None  # by the kernel's lock
    monkeypatch.setattr(lease, "lock_folder", lambda _: NOT_LOCKED)
    monkeypatch.setattr(lease, "unlock_folder", lambda _: None)
    watching = lease.Leases()
    assert watching.take(folder) is None  # by the file, where disks lock no folder
    monkeypatch.setattr(lease, "SILENT_S", 0.0)
    assert lease.Leases().take(folder) is None  # it has been looked at once
    os.utime(folder / ".worker-1")
    assert watching.take(folder) is None  # it lives
    theirs = watching.take(folder)
    assert theirs is not None
    assert (theirs.alone, theirs.is_held(), mine.is_held()) == (False, True, False)
    theirs.release()
    after = lease.Leases().take(folder)
    assert after is not None
    assert after.alone  # what was released is free at once
    after.release()


def test_a_worker_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with lease.Leases().waiting_for(tmp_path):
        first = (tmp_path / ".worker-1").stat().st_mtime_ns
        until = time.monotonic() + 30
        while (tmp_path / ".worker-1").stat().st_mtime_ns == first and time.monotonic() < until:
            time.sleep(0.01)
        assert (tmp_path / ".worker-1").stat().st_mtime_ns > first


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--trials", "2", "--storage", "nowhere/sweep.log"], "No such file or directory"),
        (["--trials", "2", "--storage", "small.yaml"], "--storage small.yaml cannot be used: expected a file or a URL"),
        (["--trials", "2", "--storage", "sqlite:////nowhere/sweep.db"], "unable to open database file"),
        (["--trials", "2", "--storage", "oracl://me:secret@host/db"], "--storage oracl://...@host/db cannot be used"),
        (["--storage", "sweep.log"], "--storage is for the draws of fit --sweep ... --trials N; here workers share"),
        (["--trials", "2", "--storage"], "--storage needs a file or the URL of a database"),
        (["--no-wait=1"], "--no-wait takes no value"),
    ],
)
def test_wrong_words(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--sweep", "model.optimizer.lr=1e-2,1e-1", *words)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert "secret" not in answer.err
    assert Path(small).read_text() == SMALL  # nothing is added to a file that is no journal
    assert not list(Path().rglob("version_0"))


def test_storage_and_waiting_belong_to_comparisons(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("compare", small, small, "--storage", "sweep.log")
    assert "drop --storage, and type the same command in each" in answer.err
    for option in (["--storage", "sweep.log"], ["--no-wait"]):
        answer = tlearn("fit", "-c", small, *option)
        assert f"{option[0]} belongs to --sweep" in answer.err


def test_the_array_of_slurm_is_a_command_that_works(tlearn: Tlearn, small: str) -> None:
    text = (ROOT / "configs/cluster/sweep.sh").read_text()
    assert "#SBATCH --array=" in text
    assert "#SBATCH --ntasks" not in text  # several tasks are one run over several devices, which a worker is not
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -eu"
    words = shlex.split(lines[1])
    assert (words[:4], len(lines)) == (["tlearn", "fit", "--config", "finetune.yaml"], 2)
    answer = tlearn("fit", "--config", small, *words[4:], "--trials", "1", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert Path("sweep.log").is_file()
