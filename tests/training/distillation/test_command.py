"""`fit --model.distill_from RUN`: a whole run that needs its teacher to be trained, and for nothing else."""

from __future__ import annotations

import re
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
import torch
import yaml

import tlearn as library
from tests.conftest import Tlearn, no_pictures
from tests.helpers.fake_pictures import CONFIG, write_splits

TEACHER = "runs/folder/version_0/checkpoints/best.ckpt"
_STEPS = "model.head_solver lbfgs takes none; train by steps: --config lp_ft.yaml, or --model.head_solver sgd"
FIT = ("fit", "--config", "folder.yaml", "--trainer.enable_progress_bar=false")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, version 0, and one that learned from it, version 1."""
    folder = tmp_path_factory.mktemp("distilled")
    write_splits(folder / "pictures")
    (folder / "folder.yaml").write_text(CONFIG)
    torch.set_num_threads(1)
    with chdir(folder), no_pictures():
        assert library.main([*FIT]) == 0
        assert library.main([*FIT, "--model.distill_from", "folder", "--model.freeze_backbone", "true"]) == 0
    return folder


@pytest.fixture
def there(taught: Path, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a copy, in which a test may do as it likes."""
    shutil.copytree(taught, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")  # behind tlearn, which goes elsewhere
    return tmp_path / "here"


def test_the_run_says_who_taught_it_and_answers_without(there: Path, tlearn: Tlearn) -> None:
    run = there / "runs/folder/version_1"
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["distill_from"] == TEACHER
    for name in ("card.md", "report.html"):
        text = re.sub("</?(bdi|wbr)>", "", (run / name).read_text())  # where the report lets a path break
        assert f"It was taught by {TEACHER}, whose answers it learned beside the labels (90% of the loss" in text, name
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert content["hyper_parameters"]["distill_weight"] == 0.9
    assert content["hyper_parameters"]["distill_temperature"] == 4.0
    shutil.rmtree("runs/folder/version_0")
    for words in (["test"], ["predict", "pictures/test", "--out", "answers.csv"]):
        answer = tlearn(words[0], str(run), *words[1:])
        assert answer.code == 0, answer.err


def test_a_frozen_network_is_shown_images_because_its_teacher_needs_them(there: Path, tlearn: Tlearn) -> None:
    more = ("--model.distill_from", "folder/version_0", "--model.freeze_backbone", "true")
    answer = tlearn(*FIT, *more)
    assert answer.code == 0, answer.err
    assert "features are not cached: the teacher of model.distill_from has to see the images" in answer.err
    assert f"taught by {TEACHER} (resnet18): each training image takes 1 pass of the teacher more" in answer.err
    answer = tlearn(*FIT, *more, "--model.feature_cache", "refresh")
    assert "nothing to cache, the teacher of model.distill_from has to see the images" in answer.err


def test_a_resume_needs_the_very_teacher_wherever_it_lies(there: Path, tlearn: Tlearn) -> None:
    shutil.move("runs/folder/version_0", "moved")
    go_on = ("fit", "--ckpt_path", "runs/folder/version_1", "--trainer.max_epochs", "3")
    answer = tlearn(*go_on)
    assert answer.code == 2
    assert "put it back, or say where it lies: --model.distill_from PATH" in answer.err.splitlines()[-1]
    answer = tlearn(*go_on, "--model.distill_from", "runs/folder/version_1")
    assert "is not the teacher that the run began with; name that one" in answer.err.splitlines()[-1]
    answer = tlearn(*go_on, "--model.distill_from", "moved", "--trainer.enable_progress_bar=false")
    assert answer.code == 0, answer.err
    assert "epoch 3/3" in answer.out + answer.err


def test_an_ensemble_teaches_and_another_split_is_remarked_on(there: Path, tlearn: Tlearn) -> None:
    both = "--model.ensemble=[folder/version_0, folder/version_1]"
    answer = tlearn("fit", "pictures", both, "--trainer.enable_progress_bar=false")
    assert answer.code == 0, answer.err
    student = ("--model.distill_from", "pictures", "--data.train_per_class", "4")
    answer = tlearn(*FIT, *student)
    assert answer.code == 0, answer.err
    assert "(ensemble of 2 x resnet18): each training image takes" in answer.err
    assert "its data.init_args.train_per_class was None, here it is 4; the student's validation" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.distill_from", "folder", "--model.freeze_backbone", "true", "--model.head_solver", "lbfgs"], _STEPS),
        (["--model.distill_from", "nowhere"], "model.distill_from takes a run folder, a name under runs/ or a check"),
        (["--model.distill_from", "folder.yaml"], "folder.yaml is a config, not weights; check the path"),
        (["--model.distill_from", "folder", "--data.size_px", "48"], "learned from pictures read with size_px 32"),
        (["--model.distill_from", "folder", "--model.distill_weight", "1.5"], "expected a number from 0 to 1, got 1.5"),
        (["--model.distill_from", "folder", "--budget", "1m"], "--budget does not go with --model.distill_from"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_run(
    there: Path, tlearn: Tlearn, words: list[str], message: str
) -> None:
    before = sorted(Path("runs").rglob("version_*"))
    answer = tlearn(*FIT, *words)
    assert answer.code == 2, answer.out
    assert message in answer.err.splitlines()[-1]
    assert sorted(Path("runs").rglob("version_*")) == before
