"""``doctor PHOTOS --against RUN`` and the last line of ``predict``: are new pictures like those of a run?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_folder
from tlearn.deploy.drift.against import Drift


@pytest.fixture
def run(finished_run: Path, tlearn: Tlearn) -> Path:
    write_folder(Path("new"), count=12, start=2000)
    for path in Path("new").glob("*/*.png"):
        dark = Path("dark") / path.name
        dark.parent.mkdir(exist_ok=True)
        ImageEnhance.Brightness(Image.open(path)).enhance(0.4).save(dark)
    return next(finished_run.glob("runs/*/version_0"))


def test_like_pictures_end_with_0_and_dark_ones_with_3(run: Path, tlearn: Tlearn) -> None:
    alike = tlearn("doctor", "new", "--against", str(run))
    assert alike.code == 0, alike
    assert "alike: they are like the training pictures (MMD, p " in alike.out
    assert f"predict {run} new\n" in alike.out
    dark = tlearn("doctor", "dark", "--against", str(run), "--out", "drift.json", "--level", "0.01")
    assert dark.code == 3, dark
    assert "not alike: they are not like the training pictures (MMD, p " in dark.out
    assert "brightness 0." in dark.out
    assert "expect " in dark.out
    assert "--unknown true\n" in dark.out
    said = json.loads(Path("drift.json").read_text())
    assert (said["alike"], said["level"], said["pictures"], said["found"]) == (False, 0.01, 36, 36)
    assert said["p"] <= 0.01
    assert said["test"]["method"] == "MMD"
    moved = {each["name"]: each for each in said["properties"]}
    assert moved["brightness"]["after"] == pytest.approx(0.4 * moved["brightness"]["before"], rel=0.15)
    assert moved["size"]["before"] == moved["size"]["after"] == 64
    assert said["expected_accuracy"]["low"] <= said["expected_accuracy"]["share"] <= said["expected_accuracy"]["high"]


def test_predict_ends_with_the_same(run: Path, tlearn: Tlearn) -> None:
    assert "drift: these 36 pictures are like the training pictures (MMD, p " in tlearn("predict", str(run), "new").out
    dark = tlearn("predict", str(run), "dark").out
    assert "drift: these 36 pictures are not like the training pictures (MMD, p " in dark
    assert f"doctor PHOTOS --against {run}\n" in dark
    assert "drift" not in tlearn("predict", str(run), "new/cat").out, "12 pictures are too few for a line"


def test_from_python(run: Path) -> None:
    found = package.doctor("dark", against=run)
    assert isinstance(found, Drift)
    assert not found.alike
    assert "brightness" in found._repr_html_()
    assert package.doctor([f"new/{name}" for name in ("cat", "dog", "eel")], against=run).alike


def test_faults_end_with_2(run: Path, tlearn: Tlearn) -> None:
    few = tlearn("doctor", "new/cat/cat2000.png", "new/cat/cat2001.png", "--against", str(run))
    assert (few.code, few.err.count("error: 2 pictures cannot tell whether pictures have changed")) == (2, 1)
    assert tlearn("doctor", "new", "--against", str(run), "--level", "0").code == 2
    assert "expected" in tlearn("doctor", "new", "--against", str(run), "--fix").err
    assert tlearn("doctor", "nowhere", "--against", str(run)).code == 2
    assert tlearn("doctor", "--against", str(run)).code == 2
    old = shutil.copytree(run, "old", ignore=shutil.ignore_patterns("reliability.pt"))
    answer = tlearn("doctor", "new", "--against", str(old))
    assert answer.code == 2
    assert "--against needs what a fit writes into reliability.pt" in answer.err
    assert "drift" not in tlearn("predict", str(old), "new").out, "a run of before predicts as it did"


def test_unreadable_files_are_counted(run: Path, tlearn: Tlearn) -> None:
    Path("new/cat/broken.png").write_bytes(b"no picture")
    answer = tlearn("doctor", "new", "--against", str(run))
    assert answer.code == 0, answer
    assert "36 pictures of new against" in answer.out
    assert "1 file gave no picture" in answer.out
