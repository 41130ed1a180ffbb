"""``predict``: a row for every file, in order, whatever the file is."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import FOREIGN, HEIC, JPEG_XL, picture, without_extras, write_broken, write_flat


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that tells the three colours apart."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    return "runs/folder/version_0"


def predict(tlearn: Tlearn, run: str, *words: str, out: str = "p.csv") -> Answer:
    return tlearn("predict", "--ckpt_path", run, "--out", out, *words)


def rows_of(path: str = "p.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_row_for_every_file_in_order(tlearn: Tlearn, run: str, tmp_path: Path, workers: str) -> None:
    paths = write_flat(tmp_path / "photos")
    for _ in range(2):  # a second run replaces the file
        answer = predict(tlearn, run, "--data", "photos", "--data.batch_size", "4", "--data.num_workers", workers)
        assert answer.code == 0, answer.err
        assert "predictions: p.csv: 7 rows\n" in answer.out
    rows = rows_of()
    assert [row["path"] for row in rows] == [f"photos/{path.name}" for path in paths]
    assert [row["class"] for row in rows] == [path.stem[3:] for path in paths]
    for row in rows:
        shares = [float(row[name]) for name in ("probability", "probability_2", "probability_3")]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=2e-6)
        assert row["error"] == ""
    assert list(Path().glob(".p.csv*")) == []


def test_a_folder_counts_files_that_are_not_read_apart(
    tlearn: Tlearn, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_extras(monkeypatch)
    write_flat(tmp_path / "photos")
    for name in ("a.heic", "b.HEIC", "notes.txt"):
        (tmp_path / "photos" / name).write_text("x")
    answer = predict(tlearn, run, "--data", "photos")
    assert answer.code == 0, answer.err
    (line,) = (line for line in answer.err.splitlines() if "pictures in" in line)
    assert line == f"7 pictures in {tmp_path / 'photos'}; skipped 1 file without a picture's name: .txt 1"
    assert f"2 pictures are not read: .heic 2: {HEIC}" in answer.err.splitlines()
    assert len(rows_of()) == 9


def test_folders_patterns_and_single_files(tlearn: Tlearn, run: str, tmp_path: Path) -> None:
    write_flat(tmp_path / "photos")
    (tmp_path / "photos/deeper").mkdir()
    picture("eel", 1).save(tmp_path / 'photos/deeper/a, b "q".png')
    (tmp_path / "photos/notes.txt").write_text("x")
    (tmp_path / "photos/.hidden.png").touch()
    answer = predict(tlearn, run, "--data", "photos")
    assert f"8 pictures in {tmp_path}" in answer.err
    assert "ignored 1 hidden item; skipped 1 file without a picture's name: .txt 1" in answer.err
    assert rows_of()[7]["path"] == 'photos/deeper/a, b "q".png'
    for given, count in (("photos/0[0-2]*.png", 3), (str(tmp_path / "photos/*.png"), 7), ("photos/00_cat.png", 1)):
        assert predict(tlearn, run, "--data", given, "--top_k", "1").code == 0
        assert len(rows_of()) == count
        assert list(rows_of()[0]) == ["path", "class", "probability", "stranger", "error"]


def test_unreadable_files_have_a_row_with_the_reason(tlearn: Tlearn, run: str, tmp_path: Path) -> None:
    write_flat(tmp_path / "photos", count=2)
    broken = write_broken(tmp_path / "photos")
    answer = predict(tlearn, run, "--data", "photos")
    assert answer.code == 0, answer.err
    assert "6 rows, 4 of them unreadable (see the column error)" in answer.out
    rows = rows_of()
    assert {row["path"]: row["error"] for row in rows if row["error"]} == {f"photos/{n}": r for n, r in broken.items()}
    assert {row["class"] for row in rows if row["error"]} == {""}


def test_answers_are_those_of_test(tlearn: Tlearn, run: str) -> None:
    tested = tlearn("test", "--ckpt_path", run, "--trainer.precision", "32-true")
    assert predict(tlearn, run, "--data", "pictures/test", "--trainer.precision", "32-true").code == 0
    rows = rows_of()
    assert len(rows) == 12
    right = sum(row["class"] == row["path"].split("/")[2] for row in rows)
    assert tested.result["accuracy"].endswith(f"], {right} of 12")


def test_parquet(tlearn: Tlearn, run: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_flat(tmp_path / "photos")
    (tmp_path / "photos/zero.png").touch()
    assert predict(tlearn, run, "--data", "photos", out="p.parquet").code == 0
    assert predict(tlearn, run, "--data", "photos").code == 0
    table = parquet.read_table("p.parquet").to_pydict()
    assert table["path"] == [row["path"] for row in rows_of()]
    assert table["error"][-1] == "the file is empty"
    assert table["class"][-1] is None
    assert [f"{p:.6f}" for p in table["probability"][:-1]] == [row["probability"] for row in rows_of()[:-1]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nothing/"], r"--data nothing/: no folder, file or match at .*/nothing"),
        (["--data", "nothing"], r"data on the command line: no class is named 'nothing', and there is no such folder"),
        (["--data", "nothing*.png"], r"--data nothing\*.png: no folder, file or match"),
        (["--data", "empty/"], r"no picture in .*/empty"),
        (["--data", "pictures", "--out", "p.xlsx"], r"--out p.xlsx: expected a name that ends in .csv or .parquet"),
        (
            ["--data", "pictures", "--out", "nowhere/p.csv"],
            r"--out nowhere/p.csv: the folder .*/nowhere does not",
        ),
        (["--data", "pictures", "--top_k", "0"], r"top_k on the command line: expected a value > ?0, got 0"),
        (["--data", "pictures", "--data.crop_pct", "2"], r"crop_pct: expected more than 0 and at most 1, got 2"),
    ],
)
def test_what_cannot_be_is_said_first(tlearn: Tlearn, run: str, words: list[str], message: str) -> None:
    Path("empty").mkdir()
    Path("p.csv").write_text("kept")
    answer = predict(tlearn, run, *words)
    assert answer.code == 2
    assert re.search(f"^error: .*{message}", answer.err.strip().splitlines()[-1])
    assert Path("p.csv").read_text() == "kept"


def test_missing_package_is_named(tlearn: Tlearn, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.deploy.prediction_table.find_spec", lambda name: None)
    answer = predict(tlearn, run, "--data", "pictures", out="p.parquet")
    assert answer.code == 2
    assert "writing .parquet needs: pip install 'tlearn[parquet]'" in answer.err


def test_a_fault_keeps_the_old_file(tlearn: Tlearn, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("p.csv").write_text("kept")

    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("tlearn.deploy.prediction_table.CsvTable.write", fail)
    assert predict(tlearn, run, "--data", "pictures").code == 1
    assert Path("p.csv").read_text() == "kept"
    assert list(Path().glob(".p.csv*")) == []


def test_a_checkpoint_that_does_not_say_how_pictures_were_read_is_refused(tlearn: Tlearn, run: str) -> None:
    path = Path(run, "checkpoints/best.ckpt")
    content = torch.load(path, weights_only=True)
    content["tlearn"]["pictures"] = None
    torch.save(content, path)
    answer = predict(tlearn, run, "--data", "pictures")
    assert answer.code == 2
    assert "does not say how pictures were read: it is older than 0.1; train it again, or say it" in answer.err
    answer = predict(tlearn, run, "--data", "pictures", "--data.size_px", "32")
    assert answer.code == 0, answer.err


def test_a_file_that_cannot_be_written_is_said_first(tlearn: Tlearn, run: str) -> None:
    Path("d.csv").mkdir()
    answer = predict(tlearn, run, "--data", "pictures", out="d.csv")
    assert answer.code == 2
    assert "--out d.csv is a folder, expected the name of a file" in answer.err


def test_temperature_calms_probabilities(tlearn: Tlearn, run: str) -> None:
    assert predict(tlearn, run, "--data", "pictures/test").code == 0
    before = rows_of()
    path = Path(run, "checkpoints/best.ckpt")
    content = torch.load(path, weights_only=True)
    content["tlearn"]["temperature"] *= 4
    torch.save(content, path)
    assert predict(tlearn, run, "--data", "pictures/test").code == 0
    for old, new in zip(before, rows_of(), strict=True):
        assert new["class"] == old["class"]
        assert float(new["probability"]) < float(old["probability"])


def test_files_that_are_not_read_have_a_row_with_the_reason(
    tlearn: Tlearn, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_extras(monkeypatch)
    write_flat(tmp_path / "photos", count=1)
    for name, (content, _) in FOREIGN.items():
        (tmp_path / f"photos/{name}.jpg").write_bytes(content)
    for name in ("a.HEIC", "b.jxl", "c.NEF", "d.svg"):
        (tmp_path / "photos" / name).write_bytes(FOREIGN["heic"][0])
    picture("dog", 1).save(tmp_path / "photos/e.tif")
    (tmp_path / "photos/e.tif").rename(tmp_path / "photos/e.nef")  # Pillow would take it for a TIFF
    (tmp_path / "photos/notes.txt").write_text("x")
    answer = predict(tlearn, run, "--data", "photos")
    assert answer.code == 0, answer.err
    assert f"{len(FOREIGN) + 1} pictures in" in answer.err  # by their names
    assert f"5 pictures are not read: .heic 1: {HEIC}; .jxl 1: {JPEG_XL}; .nef 2: a camera's raw data" in answer.err
    assert "skipped 1 file without a picture's name: .txt 1" in answer.err
    reasons = {row["path"].removeprefix("photos/"): row["error"] for row in rows_of()}
    assert list(reasons) == sorted(reasons)
    assert reasons["00_cat.png"] == ""
    for name, (_, reason) in FOREIGN.items():
        assert reasons[f"{name}.jpg"].startswith(reason)
    assert reasons["a.HEIC"] == reasons["b.jxl"] == HEIC
    assert reasons["c.NEF"] == reasons["e.nef"]
    assert reasons["e.nef"] == "a camera's raw data, which are not read; develop them to JPEG or PNG"


def test_several_paths_patterns_and_folders(
    tlearn: Tlearn, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(path.relative_to(tmp_path)) for path in write_flat(tmp_path / "photos")]
    write_flat(tmp_path / "odd [2024] set", count=2)
    answer = predict(tlearn, run, "--data", *paths[::-1], "--data.batch_size", "3")
    assert answer.code == 0, answer.err
    assert "7 pictures in all" in answer.err
    assert [row["path"] for row in rows_of()] == paths[::-1]
    assert predict(tlearn, run, "--data", "odd [2024] set/*.png", paths[0], "photos/0[23]*").code == 0
    odd = ["odd [2024] set/00_cat.png", "odd [2024] set/01_dog.png"]
    assert [row["path"] for row in rows_of()] == [*odd, paths[0], paths[2], paths[3]]
    lines = "\r\n".join([paths[1], "", "photos/gone.png", odd[0]]).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines), encoding="ascii"))
    answer = predict(tlearn, run, "--data", "-")
    assert answer.code == 0, answer.err
    rows = rows_of()
    assert [row["path"] for row in rows] == [paths[1], "photos/gone.png", odd[0]]
    assert [row["error"] for row in rows] == ["", "No such file or directory", ""]
    answer = predict(tlearn, run, "--data", paths[0])
    assert "1 row\n" in answer.out
    assert predict(tlearn, run, "--data", "photos/00_*").code == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["https://example.com/cat.jpg"], "https://example.com/cat.jpg: an address, no file; download the pictures"),
        (["photos", "s3://bucket/cats"], "s3://bucket/cats: an address, no file"),
        (["list.txt"], "list.txt: a list, no picture; for the paths in it: --data - < list.txt"),
        (["list.csv"], "list.csv: a table, no picture; for one with labels: --data ImageTableDataModule --data.table"),
        (["photos", "gone.png"], "--data gone.png: no folder, file or match at "),
        (["-"], "--data -: no paths on standard input; expected one in each line"),
        (["photos", "-"], "--data -: no paths on standard input; expected one in each line"),
        ([""], "--data is empty; give a folder, a pattern or the path of a picture, as in --data photos"),
        (["photos", ""], "--data is empty; give a folder"),
        (["no such.png"], "no class is named 'no such.png', and there is no such folder or file"),
    ],
)
def test_what_names_no_pictures_is_said(
    tlearn: Tlearn, run: str, given: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flat(Path("photos"), count=1)
    for name in ("list.txt", "list.csv"):
        Path(name).write_text("photos/00_cat.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    answer = predict(tlearn, run, "--data", *given)
    assert answer.code == 2
    assert message in answer.err.splitlines()[-1]
    assert not Path("p.csv").exists()


def test_a_text_of_lines_means_its_lines_alone(tlearn: Tlearn, run: str) -> None:
    """As YAML writes several lines: the break behind the last one is no path, least of all that of this folder."""
    write_flat(Path("photos"), count=3)
    Path("lines.yaml").write_text(
        "data:\n  class_path: PredictFilesDataModule\n  init_args:\n    files: |\n      photos/02_eel.png\n\n"
        "      photos/00_cat.png\n"
    )
    answer = predict(tlearn, run, "--config", "lines.yaml")
    assert answer.code == 0, answer.err
    assert [row["path"] for row in rows_of()] == ["photos/02_eel.png", "photos/00_cat.png"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_begins_with_a_mark_as_windows_writes_it(
    tlearn: Tlearn, run: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flat(Path("photos"), count=2)
    lines = "photos/00_cat.png\r\nphotos/01_dog.png\r\n".encode(encoding)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    answer = predict(tlearn, run, "--data", "-")
    assert answer.code == 0, answer.err
    assert [(row["path"], row["error"]) for row in rows_of()] == [("photos/00_cat.png", ""), ("photos/01_dog.png", "")]


def test_no_answer_at_all_is_a_fault(tlearn: Tlearn, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_extras(monkeypatch)
    Path("photos").mkdir()
    for name in ("a.heic", "b.heic"):
        Path("photos", name).write_bytes(FOREIGN["heic"][0])
    answer = predict(tlearn, run, "--data", "photos")
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        f"error: none of 2 files gives a picture: photos/a.heic ({HEIC}); p.csv says why of each"
    )
    assert [row["error"][:4] for row in rows_of()] == ["HEIC", "HEIC"]
