"""`tlearn fit my_pictures`: a folder, a table or a config behind the verbs that look at pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tlearn as api
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits, write_table

SMALL = ("--model.weights=null", "--model.image_size=32", "--model.tap=layer1")
STRATEGY = """
trainer: {max_epochs: 1}
model: {weights: null, tap: layer1, image_size: 32, optimizer: {class_path: SGD, init_args: {lr: 0.01}}}
"""
DIGITS = "data: {class_path: DigitsDataModule, init_args: {batch_size: 5, task: regression, train_per_class: 3}}"


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_splits(tmp_path / "my_pictures")


def config_of(run: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(Path(run, "config.yaml").read_text())
    return config


def weights_of(run: str) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(f"{run}/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    return weights


def test_a_folder_is_the_long_form_by_another_name(tlearn: Tlearn) -> None:
    assert tlearn("fit", *SMALL, "my_pictures/").code == 0
    long = ("--config", "folder.yaml", "--data.init_args.root", "my_pictures")
    assert tlearn("fit", *long, *SMALL).code == 0
    short, typed = "runs/my_pictures/version_0", "runs/folder/version_0"
    one, other = config_of(short), config_of(typed)
    assert one["trainer"].pop("logger")["init_args"].pop("name") == "my_pictures"
    assert other["trainer"].pop("logger")["init_args"].pop("name") == "folder"
    assert one == other
    first, second = weights_of(short), weights_of(typed)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert json.loads(Path(short, "card.json").read_text())["command"] == f"tlearn fit {' '.join(SMALL)} my_pictures/"


@pytest.mark.slow
def test_every_verb_that_looks_at_pictures_takes_a_folder(tlearn: Tlearn) -> None:
    doctor = tlearn("doctor", "--fix", "my_pictures")
    assert doctor.code == 0, doctor.err
    assert "train: 24 pictures of 3 classes (cat 8, dog 8, eel 8)" in doctor.out
    plan = tlearn("plan", "my_pictures", *SMALL, "--out", "plan.json")
    assert plan.code == 0, plan.err
    assert json.loads(Path("plan.json").read_text())["epochs"] == 1  # as folder.yaml has it
    probe = tlearn("probe", "--image_sizes", "32", "my_pictures", *SMALL)
    assert probe.code == 0, probe.err
    assert Path("runs/probe/my_pictures/version_0/probe.json").is_file()


def test_a_table_is_a_target_too(tlearn: Tlearn, tmp_path: Path) -> None:
    write_table(tmp_path).rename(tmp_path / "my_table.csv")
    answer = tlearn("fit", "my_table.csv", *SMALL, "--trainer.max_epochs=1")
    assert answer.code == 0, answer.err
    data = config_of("runs/my_table/version_0")["data"]
    assert data["class_path"].endswith("ImageTableDataModule")
    assert data["init_args"]["table"] == "my_table.csv"


@pytest.mark.slow
def test_advice_for_a_folder_is_followed_alone(tlearn: Tlearn) -> None:
    before = tlearn("fit", "advised.yaml")
    assert (before.code, before.err.count("\n")) == (2, 1)
    assert "no advised.yaml here" in before.err
    assert "it is written by `tlearn advise my_pictures`" in before.err
    assert tlearn("fit", "--config", "advised.yaml").err == before.err
    advised = tlearn("advise", "my_pictures", *SMALL, "--trainer.max_epochs", "1")
    assert advised.code == 0, advised.err
    assert "next: tlearn fit advised.yaml" in advised.out.splitlines()
    assert yaml.safe_load(Path("advised.yaml").read_text())["data"]["init_args"]["root"] == "my_pictures"
    followed = tlearn("fit", "advised.yaml")
    assert followed.code == 0, followed.err
    assert Path("runs/advised/version_0/report.html").is_file()


@pytest.mark.parametrize(("word", "above"), [("plain/cat", "plain"), ("my_pictures/train/cat", "my_pictures")])
def test_a_class_of_its_own_is_told_before_the_network_is_made(
    word: str, above: str, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("my_pictures/train", "plain")
    monkeypatch.setattr("tlearn.data.sources.folder.layout_of", None)  # the data module is not asked
    answer = tlearn("fit", word)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert f"no folder train in {tmp_path / word}, which holds 8 pictures and no folder; " in answer.err
    assert answer.err.endswith(f"; did you mean {tmp_path / above}?\n")
    monkeypatch.chdir(word)
    assert tlearn("fit", ".").err.endswith(f"; did you mean {tmp_path / above}?\n")
    (tmp_path / "alone").mkdir()
    shutil.copy(next(Path().glob("*.png")), tmp_path / "alone")
    shutil.move(tmp_path / "alone", tmp_path / "deeper/alone")
    lonely = tlearn("fit", str(tmp_path / "deeper/alone")).err
    assert "did you mean" not in lonely
    assert "pictures without labels: tlearn label FOLDER" in lonely


def test_a_config_beside_a_folder_gives_the_strategy_alone(tlearn: Tlearn) -> None:
    Path("mine.yaml").write_text(STRATEGY + DIGITS)
    answer = tlearn("fit", "my_pictures", "--config", "mine.yaml")
    assert answer.code == 0, answer.err
    assert "the pictures are those of my_pictures, the strategy is that of mine.yaml" in answer.err
    assert "of its data only batch_size hold" in answer.err
    config = config_of("runs/my_pictures/version_0")
    options = config["data"]["init_args"]
    assert config["data"]["class_path"].endswith("ImageFolderDataModule")
    assert (options["root"], options["batch_size"]) == ("my_pictures", 5)
    assert (options["task"], options["train_per_class"]) == ("classification", None)  # of the digits, not of a strategy
    assert config["model"]["head_solver"] == "sgd"  # folder.yaml solves its head
    Path("own.yaml").write_text(
        STRATEGY + "data: {class_path: tlearn.ImageFolderDataModule, init_args: {root: elsewhere, train_per_class: 4}}"
    )
    answer = tlearn("plan", "--config", "own.yaml", "my_pictures")
    assert answer.code == 0, answer.err
    assert "the strategy is that of own.yaml; the other options of its data hold" in answer.err


def test_options_of_training_by_steps_are_not_dropped_silently(tlearn: Tlearn) -> None:
    answer = tlearn("fit", "my_pictures", *SMALL, "--trainer.max_epochs", "5", "--model.optimizer.lr=0.5")
    assert answer.code == 0, answer.err
    told = "model.head_solver lbfgs takes no steps, so trainer.max_epochs and model.optimizer.lr do nothing"
    assert told in answer.out + answer.err
    quiet = tlearn("fit", "my_pictures", *SMALL, "--trainer.max_epochs=1")
    assert "takes no steps" not in quiet.out + quiet.err


def test_what_advice_expects_of_other_pictures_is_left_out(tlearn: Tlearn, tmp_path: Path) -> None:
    write_splits(tmp_path / "others")
    content = yaml.safe_load(STRATEGY) | {
        "advice": {"of": "accuracy", "score": 0.9, "low": 0.8, "high": 1.0, "options": {}},
        "data": {"class_path": "ImageFolderDataModule", "init_args": {"root": "my_pictures"}},
    }
    Path("advised.yaml").write_text(yaml.safe_dump(content))
    for target in ("my_pictures", "others"):
        answer = tlearn("fit", target, "--config", "advised.yaml")
        assert answer.code == 0, answer.err
    told = [Path("runs", name, "version_0", "card.md").read_text() for name in ("my_pictures", "others")]
    assert ["expected accuracy" in each for each in told] == [True, False]


def test_a_fit_on_a_folder_goes_on(tlearn: Tlearn) -> None:
    epochs = [*SMALL, "--model.head_solver", "sgd", "--trainer.max_epochs"]
    assert tlearn("fit", "my_pictures", *epochs, "1").code == 0
    answer = tlearn("fit", "my_pictures", *epochs, "2", "--ckpt_path", "last")
    assert answer.code == 0, answer.err
    assert not Path("runs/my_pictures/version_1").exists()
    assert json.loads(Path("runs/my_pictures/version_0/card.json").read_text())["epochs"]["done"] == 2


def test_a_sweep_over_a_folder(tlearn: Tlearn) -> None:
    answer = tlearn("fit", "my_pictures", "--sweep", "model.tap=layer1,layer2", *SMALL[:2])
    assert answer.code == 0, answer.err
    (again,) = (line for line in answer.out.splitlines() if line.startswith("again: "))
    assert again.startswith("again: tlearn fit my_pictures ")
    assert sorted(path.name for path in Path("runs/sweep/my_pictures").iterdir())[0].startswith("tap=layer1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "my_picture"], "error: my_picture: no folder of pictures, table or config at "),
        (["fit", "my_picture"], "did you mean my_pictures?"),
        (["fit", "my_pictures", "photos"], "fit takes one folder, table or config, got my_pictures and photos"),
        (
            ["advise", "my_pictures", "partial.yaml"],
            "got my_pictures and partial.yaml; a config beside it is named by --config partial.yaml",
        ),
        (["fit", "my_pictures", "--data.root", "x"], "my_pictures and --data.root both say where the pictures are"),
        (["fit", "my_pictures", "--data", "DigitsDataModule"], "my_pictures and --data both say where the pictures"),
        (["fit", "finetun.yaml"], "unknown config 'finetun.yaml'. Did you mean 'finetune.yaml'?"),
        (["doctor", "notes.md"], "notes.md is no folder, no table (.csv, .parquet) and no config (.yaml)"),
        (["fit", "runs/old"], "runs/old is a folder of runs, fit takes pictures: a folder, a table or a config; to "),
        (["fit", "runs/old"], "evaluate it: tlearn test runs/old; to go on with it: tlearn fit --ckpt_path runs/old"),
        (["plan", "runs/old/version_0"], "runs/old/version_0 is a run, plan takes pictures"),
        (["fit", "--find_lr", "nothing"], "error: nothing: no folder of pictures, table or config at "),
    ],
)
def test_what_is_no_target_is_said_in_one_line(words: list[str], said: str, tlearn: Tlearn) -> None:
    Path("photos").mkdir()
    Path("notes.md").write_text("x")
    Path("runs/old/version_0/checkpoints").mkdir(parents=True)
    answer = tlearn(*words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("header", "option", "columns"),
    [
        ("file,species", "path_column", "file, species"),
        ("path,species,sex", "label_column", "path, species, sex"),
    ],
)
def test_a_table_whose_columns_have_other_names(header: str, option: str, columns: str, tlearn: Tlearn) -> None:
    Path("t.csv").write_text(f"{header}\n{','.join('x' for _ in header.split(','))}\n")
    answer = tlearn("fit", "t.csv")
    assert answer.code == 2
    assert f"Choices: {columns}; say which it is: --data.init_args.{option} COLUMN\n" in answer.err


@pytest.mark.slow
def test_from_python_a_folder_is_as_good(tlearn: Tlearn) -> None:
    options = {"model.weights": None, "model.image_size": 32, "model.tap": "layer1"}
    run = api.fit("my_pictures", options)
    assert run.folder == Path("runs/my_pictures/version_0")
    card = json.loads((run.folder / "card.json").read_text())
    assert card["command"].startswith("tlearn fit my_pictures --model.weights=null")
    assert tlearn(*card["command"].split()[1:]).code == 0  # the command of the card is one that can be typed
    first, second = weights_of("runs/my_pictures/version_0"), weights_of("runs/my_pictures/version_1")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert [finding.severity for finding in api.doctor(Path("my_pictures")) if finding.severity == "error"] == []
    assert api.plan("my_pictures", options).epochs == 1
    assert api.probe("my_pictures", options, image_sizes=[32]).val_images == 12
    shutil.move("my_pictures", "-odd")
    assert api.plan("-odd", options).epochs == 1
    with pytest.raises(api.TlearnError, match="my_picture: no folder of pictures"):
        api.fit("my_picture")
