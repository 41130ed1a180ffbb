from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_broken, write_flat, write_splits


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs/folder/version_0"


def test_answers_for_files_and_images_as_predict_does(tlearn: Tlearn, run: Path, tmp_path: Path) -> None:
    paths = write_flat(tmp_path / "photos", count=40)  # more than a batch
    model = package.load(run)
    assert model.class_names == ["cat", "dog", "eel"]
    answers = model.predict([*paths, Image.open(paths[1])])
    assert [answer.path for answer in answers] == [*map(str, paths), None]
    assert answers[-1].probabilities == answers[1].probabilities
    words = ["--data", "photos", "--out", "p.csv", "--trainer.precision", "32-true"]
    assert tlearn("predict", "--ckpt_path", str(run), *words).code == 0
    with Path("p.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, answer in zip(rows, answers, strict=False):
        assert row["class"] == answer.class_name
        assert float(row["probability"]) == pytest.approx(answer.probability, abs=2e-6)
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_an_image_of_any_mode_and_size(run: Path) -> None:
    model = package.load(run / "checkpoints" / "best.ckpt")
    image = picture("eel", 1).resize((300, 200)).convert("RGBA")
    (answer,) = model.predict([image])
    assert answer.class_name == "eel"
    assert answer.labels == ["eel"]


def test_a_large_photograph_has_one_answer_however_it_is_handed_over(run: Path, tmp_path: Path) -> None:
    for name in ("cat", "dog", "eel"):
        picture(name, 5).resize((2400, 1800)).save(tmp_path / f"{name}.jpg", quality=90)
    model = package.load(run)
    paths = [tmp_path / f"{name}.jpg" for name in ("cat", "dog", "eel")]
    by_path = model.predict(paths)  # decoded at a fraction of its size
    by_image = model.predict([Image.open(path) for path in paths])
    for one, other in zip(by_path, by_image, strict=True):
        assert one.class_name == other.class_name
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.005)


def test_faults_are_named(run: Path, tmp_path: Path) -> None:
    model = package.load(run)
    (tmp_path / "x.png").write_text("no")
    with pytest.raises(package.TlearnError, match=f"{tmp_path}/x.png: no picture format; mend it or leave it out"):
        model.predict([tmp_path / "x.png"])
    with pytest.raises(package.TlearnError, match="expected a list of pictures, got one str; put it in brackets"):
        model.predict("x.png")
    with pytest.raises(package.TlearnError, match=f"{tmp_path} is a folder; give its pictures: sorted"):
        model.predict(str(tmp_path))
    write_broken(tmp_path)
    with Image.open(tmp_path / "half.jpg") as half, pytest.raises(package.TlearnError, match="an image: truncated"):
        model.predict([half])
    with pytest.raises(package.TlearnError, match=r"no checkpoint at .*/nowhere"):
        package.load("nowhere")


def test_predict_and_load_answer_alike_whatever_the_run_computed_in(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_splits(tmp_path / "pictures")
    (tmp_path / "folder.yaml").write_text(CONFIG.replace(", precision: 32-true", ", precision: bf16-mixed"))
    photos, run = write_flat(tmp_path / "photos"), "runs/folder/version_0"
    assert tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1").code == 0
    predict = ["predict", "--ckpt_path", run, "--data", "photos", "--out", "p.csv"]
    answer = tlearn(*predict)
    assert answer.out.splitlines()[-1] == "predictions: p.csv: 7 rows"
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    answers = package.load(run).predict(photos)
    shown = [float(row["probability"]) for row in rows]
    assert shown == pytest.approx([each.probability for each in answers], abs=2e-6)
    answer = tlearn(*predict, "--trainer.precision", "bf16-mixed")
    assert answer.out.splitlines()[-1] == ("predictions: p.csv: 7 rows; in bf16-mixed, tlearn.load answers in float32")
    typed = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    assert max(abs(float(row["probability"]) - each) for row, each in zip(typed, shown, strict=True)) > 1e-4


def test_a_regression_has_a_value(tlearn: Tlearn, tmp_path: Path) -> None:
    words = [
        "--data.size_px",
        "16",
        "--model.tap",
        "layer1",
        "--trainer.max_epochs",
        "1",
        "--trainer.accelerator",
        "cpu",
    ]
    assert tlearn("fit", "--config", "regression.yaml", *words).code == 0
    (answer,) = package.load("runs/regression/version_0").predict([picture("cat", 1)])
    assert isinstance(answer.value, float)
    assert answer.probabilities == {}
