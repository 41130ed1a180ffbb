"""`tlearn test RUN`, `tlearn predict RUN photos`: a run behind the verbs that use one."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

import tlearn as api
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat

FIGURES = ("acc", "loss")


@pytest.fixture(autouse=True)
def _run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that tells three colours apart, and one after it that was killed before its first checkpoint."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    Path("runs/folder/version_1").mkdir()
    Path("runs/folder/version_1/config.yaml").touch()
    write_flat(Path("photos"), count=5)


def rows_of(path: str = "p.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_is_evaluated_by_its_name(tlearn: Tlearn) -> None:
    long = tlearn("test", "--ckpt_path", "runs/folder/version_0")
    assert long.code == 0
    for target in ("runs/folder/version_0", "runs/folder/version_0/checkpoints/best.ckpt"):
        assert tlearn("test", target).out == long.out
    newest = tlearn("test", "runs/folder/")
    assert newest.out == long.out
    assert "runs/folder: using version_0, the newest run; version_1 has no checkpoint\n" in newest.err
    assert tlearn("validate", "runs/folder").code == 0
    last = tlearn("validate", "runs/folder/version_0", "--ckpt_path", "last")
    assert last.code == 0, last.err


def test_pictures_stand_behind_the_run(tlearn: Tlearn) -> None:
    long = tlearn("predict", "--ckpt_path", "runs/folder/version_0", "--data", "photos", "--out", "long.csv")
    assert long.code == 0
    assert tlearn("predict", "runs/folder", "photos/", "--out", "p.csv").code == 0
    same = [{**row, "path": row["path"].replace("photos//", "photos/")} for row in rows_of()]
    assert same == rows_of("long.csv")
    one, other = "photos/00_cat.png", "photos/03_cat.png"
    assert tlearn("predict", "--out", "p.csv", "runs/folder", one, "--top_k", "1", other).code == 0
    assert [row["path"] for row in rows_of()] == [one, other]
    assert tlearn("predict", "runs/folder", "photos/0[12]*", "--out", "p.csv", "--data", one, other).code == 0
    assert len(rows_of()) == 4
    assert tlearn("predict", "--ckpt_path", "runs/folder/version_0", "photos", "--out", "p.csv").code == 0
    assert rows_of() == rows_of("long.csv")


def test_a_run_is_exported_by_its_name(tlearn: Tlearn) -> None:
    answer = tlearn("export", "runs/folder", "--out", "net.safetensors")
    assert answer.code == 0, answer.err
    assert Path("net.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["test", "pictures"],
            "pictures is a folder, test takes a run, such as runs/my_pictures; fit it first: ",
        ),
        (["test", "folder"], "no run at "),
        (["test", "folder"], "did you mean runs/folder?"),
        (["test", "nothing"], "; there are runs/folder"),
        (["test", "runs"], "runs holds runs of several names; name one: tlearn test runs/folder"),
        (["test", "folder.yaml"], "for the best one of this config: tlearn test --config folder.yaml --ckpt_path best"),
        (["test", "runs/folder", "--ckpt_path", "x.ckpt"], "runs/folder and --ckpt_path x.ckpt both name a checkpoint"),
        (["test", "runs/folder", "--ckpt_path", "last"], "name it: test runs/folder/version_N --ckpt_path last"),
        (
            ["test", "runs/folder", "pictures"],
            "test takes one run, got runs/folder and pictures; for other pictures: tlearn test runs/folder --data",
        ),
        (["predict", "photos", "runs/folder"], "the run comes first: tlearn predict runs/folder photos"),
        (["predict", "photos"], "photos is a folder, predict takes a run"),
        (["predict", "runs/folder", "photo"], "did you mean photos?"),
        (["predict", "runs/folder", "PHOTOS"], "; PHOTOS stands for your pictures: type a folder or a file"),
        (["validate", "runs/folder/version_1"], "no checkpoint at "),
        (
            ["export", "runs/folder", "net.onnx", "--out", "a.onnx"],
            "export takes one run, got runs/folder and net.onnx",
        ),
    ],
)
def test_what_is_no_run_is_said_in_one_line(words: list[str], said: str, tlearn: Tlearn) -> None:
    answer = tlearn(*words)
    assert answer.code == 2
    assert said in answer.err.splitlines()[-1]


def test_a_folder_of_pictures_names_its_runs(tlearn: Tlearn) -> None:
    Path("runs/folder").rename("runs/pictures")
    answer = tlearn("test", "pictures")
    assert answer.err.endswith(
        "pictures is a folder, test takes a run; of this name there is: tlearn test runs/pictures\n"
    )


def test_from_python_a_run_is_as_good() -> None:
    tested = api.test("runs/folder/version_0")
    assert tested.metrics == api.test(ckpt_path="runs/folder/version_0").metrics
    assert tested.checkpoint.name == "best.ckpt"
    assert api.validate(Path("runs/folder")).metrics["val/acc"] == 1
    assert api.validate("runs/folder/version_0", ckpt_path="last").checkpoint.name == "last.ckpt"
    assert api.validate("folder.yaml").checkpoint.name == "best.ckpt"
    found = api.predict("runs/folder", "photos", out="p.csv")
    assert [row["class"] for row in found.rows] == ["cat", "dog", "eel", "cat", "dog"]
    assert api.predict("runs/folder", ["photos/00_cat.png", Path("photos/01_dog.png")], out="p.csv").count == 2
    assert api.load("runs/folder").predict(["photos/02_eel.png"])[0].class_name == "eel"
    assert api.export("runs/folder", out="net.safetensors").path == Path("net.safetensors")
    with pytest.raises(api.TlearnError, match="predict takes a run"):
        api.predict("photos")
