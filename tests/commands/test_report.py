"""`tlearn report RUN` makes the pages of a run anew from what lies in its folder, and says where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tlearn as library
from tests.conftest import Tlearn
from tests.helpers.made_run import full_run, made_card, write_run


def test_the_report_is_made_anew_from_the_folder(tlearn: Tlearn) -> None:
    run = full_run(Path("runs/finetune/version_0"))
    answer = tlearn("report", str(run))
    assert (answer.code, answer.out, answer.err) == (0, "report: runs/finetune/version_0/report.html\n", "")
    assert "Confusion matrix" in (run / "report.html").read_text()
    assert "version 0" in (run / "card.md").read_text()
    (run / "evaluation/val.json").unlink()
    (run / "evaluation/test.json").unlink()
    assert library.report(run) == run / "report.html"
    assert "Confusion matrix" not in (run / "report.html").read_text()


def test_a_real_run_gives_the_same_pages_again(tlearn: Tlearn, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run / "runs/folder/version_0", tmp_path / "runs/folder/version_0")
    before = {name: (run / name).read_text() for name in ("report.html", "card.md", "card.json")}
    (run / "report.html").unlink()
    (run / "card.md").write_text("spoiled")
    assert tlearn("report", "--ckpt_path", str(run / "checkpoints/best.ckpt")).code == 0
    assert {name: (run / name).read_text() for name in before} == before


def test_the_newest_of_several_runs_is_taken(tlearn: Tlearn) -> None:
    for version in (2, 9, 10):
        write_run(Path(f"runs/cats/version_{version}"), made_card())
    Path("runs/cats/version_11").mkdir()  # was stopped before it had a card
    assert tlearn("report", "runs/cats").out == "report: runs/cats/version_10/report.html\n"


def test_what_fit_returned_has_a_report(tmp_path: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = library.fit(small, {"trainer.max_epochs": 1})
    assert run.folder is not None
    (run.folder / "report.html").unlink()
    assert library.report(run) == run.folder / "report.html"
    assert (run.folder / "report.html").is_file()
    trial = library.fit(small, {"trainer.fast_dev_run": True})
    with pytest.raises(library.TlearnError, match="this run wrote no folder"):
        library.report(trial)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "report takes one run, such as 'tlearn report runs/NAME/version_0', got: nothing"),
        (["a", "b"], "got: a b"),
        (["nowhere"], "no run at "),
        (["empty"], "no card.json in "),
        (["some.ckpt"], "some.ckpt lies in no run folder"),
        (["foreign"], "foreign/card.json is no card that this tlearn reads"),
        (["--ckpt_path"], "--ckpt_path needs a run folder or a checkpoint"),
    ],
)
def test_a_run_without_a_card_is_named_in_one_line(tlearn: Tlearn, words: list[str], said: str) -> None:
    Path("empty").mkdir()
    Path("some.ckpt").touch()
    Path("foreign").mkdir()
    Path("foreign/card.json").write_text(json.dumps({"cards": 52}))
    answer = tlearn("report", *words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_it_loads_no_torch(tmp_path: Path) -> None:
    full_run(tmp_path / "run")
    code = (
        "import sys; from tlearn import main; main(['report', 'run']); print({'torch', 'lightning'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "report: run/report.html\nset()\n"
