"""A console, pipe or file that cannot encode a name shows it with escapes; what is written is UTF-8 all the same."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.fake_pictures import CONFIG, picture
from tlearn import main

OWL, ESCAPED = "猫头鹰", r"\u732b\u5934\u9e70"
_FAULTS = ("Traceback", "UnicodeEncodeError")


def write_owls(root: Path) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for name, colour in ((OWL, "cat"), ("dog", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                start = {"train": 0, "val": 500, "test": 700}[split]
                picture(colour, start + number, 32).save(folder / f"鸟{number}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with owls, and a run on them whose names no console of the West can show."""
    folder = tmp_path_factory.mktemp("owls")
    write_owls(folder / "pictures")
    (folder / "猫.yaml").write_text(CONFIG.replace("max_epochs: 2", "max_epochs: 1"), encoding="utf-8")
    return folder


@pytest.fixture(params=["cp1252", "ascii"])
def encoding(request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(place)
    return str(request.param)


def say(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: str) -> tuple[int, str]:
    """Run a verb on streams that are as strict as Windows' pipes are."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        code = main(list(words))
        for stream in streams:
            stream.flush()
    said = "".join(stream.buffer.getvalue().decode(encoding) for stream in streams)
    assert not any(text in said for text in _FAULTS), said
    return code, said


def test_doctor_ends_well(encoding: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = place / "pictures/train/dog/鸟8.png"
    copy.write_bytes((place / "pictures/train/dog/鸟0.png").read_bytes())
    code, said = say(monkeypatch, encoding, "doctor", "--config", "猫.yaml", "--fix")
    copy.unlink()
    assert code == 0, said
    excluded = place / "pictures/tlearn-exclude.json"
    listed = json.loads(excluded.read_text(encoding="utf-8"))
    excluded.unlink()
    assert ESCAPED in said
    assert listed == {"train/dog/鸟8.png": "the same picture as train/dog/鸟0.png"}
    content = json.loads(Path("doctor.json").read_text(encoding="utf-8"))
    assert content["class_names"] == ["dog", OWL]


def test_fit_and_what_follows_end_well(encoding: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = say(monkeypatch, encoding, "fit", "--config", "猫.yaml")
    assert code == 0, said
    run = str(max((place / "runs/猫").iterdir(), key=lambda path: int(path.name.partition("_")[2])))
    assert ESCAPED[:6] in said
    for words in (
        ["validate", "--ckpt_path", run],
        ["predict", "--ckpt_path", run, "--data", "pictures/val", "--out", "鸟.csv"],
        ["export", "--ckpt_path", run, "--out", "鸟.safetensors"],
    ):
        code, said = say(monkeypatch, encoding, *words)
        assert code == 0, said
    with Path("鸟.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} <= {OWL, "dog"}
    assert rows[0]["path"] == "pictures/val/dog/鸟0.png"
    assert OWL in (Path(run) / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["plan", "--config", "猫.yaml", "--out", "鸟.json"],
        ["cache", "ls"],
        ["fit", "--config", "猫.yaml", "--print_config"],
        ["fit", "--config", "猫.yaml", "--data.root", OWL],
        ["fit", "--config", f"{OWL}.yaml"],
        [OWL],
    ],
    ids=lambda words: words[0],
)
def test_words_and_faults_are_shown(encoding: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = say(monkeypatch, encoding, *words)
    assert code == (2 if any(OWL in word for word in words) else 0), said
    assert (ESCAPED in said) == (code == 2 or words[0] == "plan")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["test", "--ckpt_path", "{run}"],
        ["probe", "--config", "猫.yaml"],
        ["advise", "--config", "猫.yaml", "--out", "鸟.yaml"],
        ["compare", "猫.yaml", "犬.yaml", "--seeds", "1"],
        ["fit", "--config", "猫.yaml", "--sweep", "model.optimizer.init_args.lr=0.1,0.01"],
        ["optimize", "pictures", "shards{encoding}鸟"],
    ],
    ids=lambda words: words[0],
)
def test_every_verb_ends_well(encoding: str, words: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if words[0] == "optimize":
        pytest.importorskip("litdata")
    Path("犬.yaml").write_text(Path("猫.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    if words[0] == "test":
        assert say(monkeypatch, encoding, "fit", "--config", "猫.yaml")[0] == 0
    newest = max((place / "runs/猫").glob("version_*"), default=place, key=lambda path: path.name)
    code, said = say(monkeypatch, encoding, *(word.format(run=newest, encoding=encoding) for word in words))
    assert code == 0, said


@pytest.mark.slow
def test_configs_are_utf8_whatever_the_machines_text_is(tmp_path: Path) -> None:
    write_owls(tmp_path / "all")
    (tmp_path / "flat").mkdir()
    rows = list[str]()
    for name in (OWL, "dog"):
        for number in range(4):
            (tmp_path / f"all/train/{name}/鸟{number}.png").rename(tmp_path / f"flat/{len(rows)}.png")
            rows.append(f"flat/{len(rows)}.png,{name}")
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    data = (
        f"{{class_path: ImageTableDataModule, init_args: {{table: t.csv, classes: [dog, {OWL}], val_fraction: 0.25}}}}"
    )
    config = CONFIG.partition("data:")[0] + f"data: {data}\n"
    (tmp_path / "owls.yaml").write_text(config, encoding="utf-8")
    strict = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tlearn", "doctor", "--config", "owls.yaml"]
    done = subprocess.run(words, capture_output=True, cwd=tmp_path, env={**os.environ, **strict}, text=True)
    assert done.returncode == 0, done.stderr
    assert "train: 8 pictures" in done.stdout
    assert json.loads((tmp_path / "doctor.json").read_text(encoding="utf-8"))["class_names"] == ["dog", OWL]
