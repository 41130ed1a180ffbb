"""What does not go with a race is refused in a line, before anything is computed."""

from __future__ import annotations

import os
import platform
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_folder
from tests.helpers.racing import TINY, record
from tests.helpers.two_processes import started
from tlearn.base.errors import TlearnError
from tlearn.commands.compare.lease import SILENT_S, Leases
from tlearn.commands.race.alone import alone_in


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "soon"), "--budget: expected a time above 0, such as 90s, 10m or 2h, or auto, got 'soon'"),
        (("--budget", "0m"), "expected a time above 0"),
        (("--budget",), "--budget needs a time, such as 90s, 10m or 2h, or auto"),
        (("--budget", "1m", "--folds", "3"), "does not go with --folds"),
        (("--budget", "1m", "--sweep", "seed_everything=1,2"), "does not go with --sweep"),
        (("--budget", "1m", "--find_lr"), "does not go with --find_lr"),
        (("--budget", "1m", "--resume", "auto"), "does not go with --resume"),
        (("--budget", "1m", "--ckpt_path", "last"), "does not go with --ckpt_path"),
        (("--budget", "1m", "--model.optimizer", "SGD"), "the race chooses model.optimizer itself"),
        (("--budget", "1m", "--data.init_args.val_fraction", "0"), "there are none (data.init_args.val_fraction is 0)"),
        (("--budget", "1m", "--trainer.fast_dev_run", "true"), "trainer.fast_dev_run keeps no run"),
        (("--budget", "1m", "--trainer.barebones", "true"), "trainer.barebones keeps no run"),
        (("--budget", "1m", "--trainer.limit_train_batches", "0"), "trainer.limit_train_batches is 0"),
        (
            ("--budget", "1m", "--trainer.check_val_every_n_epoch", "2"),
            "trainer.check_val_every_n_epoch is 2, and a race validates behind every epoch; drop the option, or drop",
        ),
        (("--budget", "1m", "--trainer.check_val_every_n_epoch", "null"), "trainer.check_val_every_n_epoch is null"),
        (("--budget", "1m", "--trainer.val_check_interval", "0.5"), "trainer.val_check_interval is 0.5"),
        (("--budget", "1m", "--trainer.val_check_interval", "20"), "trainer.val_check_interval is 20"),
        (("--budget", "1m", "--trainer.overfit_batches", "1"), "trainer.overfit_batches takes other batches"),
        (("--budget", "1m", "--trainer.devices", "2", "--trainer.strategy", "ddp"), "a race trains on one device, got"),
        (("--budget", "1m", "--trainer.max_epochs", "-1"), "needs a whole number from 1 on, got '-1'"),
    ],
)
def test_what_does_not_go_with_a_race_is_refused_in_a_line(
    tlearn: Tlearn, pictures: str, words: tuple[str, ...], said: str
) -> None:
    answer = tlearn("fit", pictures, *TINY, *words)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not Path("runs").exists()


def test_one_class_is_refused(tlearn: Tlearn, tmp_path: Path) -> None:
    write_folder(tmp_path / "one", classes=("cat",))
    answer = tlearn("fit", "one", *TINY, "--budget", "1m")
    assert answer.code == 2
    assert "cat" in answer.err


def test_two_processes_do_not_write_into_one_race(tlearn: Tlearn, pictures: str) -> None:
    words = ("fit", pictures, *TINY, "--budget", "1m")
    folder = Path("runs/pictures/race")
    with Leases().take(folder) or nullcontext():
        before = sorted(folder.rglob("*"))
        answer = tlearn(*words)
        assert sorted(folder.rglob("*")) == before
    assert answer.code == 2
    assert f"process {os.getpid()} on {platform.node()} races in runs/pictures/race: when it has ended" in answer.err
    assert answer.out == ""


def test_a_race_of_another_machine_is_refused_while_its_file_gets_new_times_and_taken_when_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / ".worker-3"
    worker.write_text('{"machine": "another", "host": "far", "pid": 7}', encoding="utf-8")
    beats = iter([1, 1, 2])
    monkeypatch.setattr("tlearn.commands.race.alone.time.sleep", lambda _: os.utime(worker, (next(beats), 5)))
    with pytest.raises(TlearnError, match="process 7 on far races in"), alone_in(tmp_path):
        pass
    clock = iter(range(0, 10 * int(SILENT_S), 50))
    monkeypatch.setattr("tlearn.commands.compare.lease.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("tlearn.commands.race.alone.time.sleep", lambda _: None)
    with alone_in(tmp_path) as held:
        assert held.is_held()
    assert not worker.exists()


@pytest.mark.slow
@pytest.mark.fault("The same race started a second time", "one of the two is refused, the other ends as alone")
def test_of_two_processes_that_race_at_once_one_is_refused(tlearn: Tlearn, pictures: str) -> None:
    words = ("fit", pictures, *TINY, "--trainer.max_epochs", "2", "--budget", "20m")
    both = [started(*words), started(*words)]
    ended = [process.communicate() for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], ended
    refused = next(index for index, process in enumerate(both) if process.returncode == 2)
    assert f"process {both[1 - refused].pid} on " in ended[refused][1]
    found = record()
    assert [member["outcome"] for member in found["members"]].count("finished") == 6
    assert not Path("runs/pictures/version_1").exists()
