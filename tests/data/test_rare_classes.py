"""Classes of one picture: named at once, left out, or trained on without validation."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, write_folder
from tlearn import ImageFolderDataModule, ImageTableDataModule, TlearnError, TransferModule
from tlearn.data.datamodule import ImageDataModule

COUNTS = {"cat": 6, "dog": 1, "eel": 6, "fox": 1}


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG.replace("max_epochs: 2", "max_epochs: 1"))
    rows = [["path", "label"]]
    for name, count in COUNTS.items():
        write_folder(tmp_path / "pictures/train", (name,), count)
        rows += [[f"pictures/train/{name}/{name}{number:03d}.png", name] for number in range(count)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_all_are_named_and_the_doctor_calls_it_an_error(tlearn: Tlearn) -> None:
    told = "2 classes with fewer than 2 images, one to train on and one to validate on: dog 1, fox 1; add images"
    fitted = tlearn("fit", "--config", "folder.yaml")
    assert (fitted.code, told in fitted.err) == (2, True)
    looked = tlearn("doctor", "--config", "folder.yaml")
    assert (looked.code, f"fit, or test, would stop: {told}" in looked.err) == (2, True)
    found = {each["kind"]: each for each in json.loads(Path("doctor.json").read_text())["findings"]}
    assert found["undividable_classes"]["severity"] == "error"
    write_folder(Path("pictures/val"), count=2, start=50)  # with pictures of its own to validate on nothing is divided
    assert tlearn("doctor", "--config", "folder.yaml").code == 0


def test_the_doctor_counts_what_fix_leaves(tlearn: Tlearn) -> None:
    for name in ("dog", "fox"):
        write_folder(Path("pictures/train"), (name,), 2)
    Path("pictures/train/dog/dog001.png").write_bytes(Path("pictures/train/dog/dog000.png").read_bytes())
    assert tlearn("doctor", "--config", "folder.yaml").code == 0
    fixed = tlearn("doctor", "--config", "folder.yaml", "--fix")
    assert (fixed.code, "one to validate on: dog 1;" in fixed.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [["--data.root", "pictures"], ["--data", "ImageTableDataModule", "--data.table", "t.csv"]],
    ids=["folder", "table"],
)
def test_rare_classes_are_left_out_of_the_run(tlearn: Tlearn, words: list[str]) -> None:
    told = "left out 2 classes with fewer than 2 images to train on: dog 1, fox 1"
    words = ["--config", "folder.yaml", *words, "--data.min_per_class", "2"]
    if "--data" in words:
        Path("folder.yaml").write_text(CONFIG.split("data:")[0])
    fitted = tlearn("fit", *words, "--trainer.max_epochs", "1")
    assert fitted.code == 0, fitted.err
    assert sum(told in line for line in fitted.err.splitlines()) == 1
    assert "12 images of 2 classes (cat 6, eel 6)" in fitted.err
    looked = tlearn("doctor", *words)
    assert looked.code == 0, looked.err
    found = {each["kind"]: each for each in json.loads(Path("doctor.json").read_text())["findings"]}
    assert found["rare_classes"]["what"] == told
    assert tlearn("predict", "--ckpt_path", "runs/folder/version_0", "--data", "pictures", "--out", "p.csv").code == 0
    with Path("p.csv").open() as file:
        assert {row["class"] for row in csv.DictReader(file)} <= {"cat", "eel"}


def test_pictures_of_rare_classes_in_other_splits_are_counted(said: pytest.LogCaptureFixture) -> None:
    write_folder(Path("pictures/val"), ("cat", "dog", "eel"), 2, start=50)
    data = ImageFolderDataModule("pictures", min_per_class=2, size_px=16)
    data.setup("fit")
    assert len(data.dataset("val")) == 4
    assert "classes not chosen: dog (2 images)" in said.text


def test_what_the_doctor_left_out_counts_for_nothing() -> None:
    excluded = {f"pictures/train/eel/eel{number:03d}.png": "copy" for number in range(5)}
    Path("tlearn-exclude.json").write_text(json.dumps(excluded))
    data = ImageTableDataModule("t.csv", min_per_class=1, size_px=16)
    assert data.class_names == ["cat", "dog", "eel", "fox"]
    with pytest.raises(
        TlearnError, match=r"min_per_class 2 leaves 1 of 4 classes \(cat 6, dog 1, eel 1, fox 1\), need"
    ):
        ImageTableDataModule("t.csv", min_per_class=2, size_px=16)


@pytest.mark.parametrize("path", ["C:\\old\\{}", "/elsewhere/{}", "{}"])
def test_what_the_doctor_left_out_counts_for_nothing_however_a_table_writes_paths(path: str) -> None:
    Path("pictures/tlearn-exclude.json").write_text(json.dumps({f"eel/eel00{n}.png": "a copy" for n in range(5)}))
    rows = [f"{path.format(f'{each}/{each}00{n}.png')},{each}" for each in ("cat", "eel", "fox") for n in range(6)]
    write_folder(Path("pictures"), ("cat", "eel", "fox"), 6)
    Path("t.csv").write_text("\n".join(["path,label", *rows]))
    data = ImageTableDataModule("t.csv", root="pictures", min_per_class=2)
    assert data.class_names == ["cat", "fox"]
    assert data.class_remarks[-1].what == "left out 1 class with fewer than 2 images to train on: eel 1"


def test_labels_of_several_classes_are_counted_too() -> None:
    Path("t.csv").write_text("path,label\na.png,x;y\nb.png,x;z\nc.png,x\n")
    data = ImageTableDataModule("t.csv", task="multilabel", min_per_class=2)
    assert data.class_names == ["x"]
    Path("t.csv").write_text("path,label\na.png,1\nb.png,2\n")
    with pytest.raises(TlearnError, match="a regression has no classes"):
        ImageTableDataModule("t.csv", task="regression", min_per_class=2)


def test_other_sources_leave_rare_classes_out_too(tlearn: Tlearn, said: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("litdata")
    from tlearn import HuggingFaceDataModule, StreamingDataModule

    assert tlearn("optimize", "pictures", "shards").code == 0
    logging.getLogger("tlearn").setLevel("INFO")
    sources: list[ImageDataModule] = [
        StreamingDataModule("shards", min_per_class=2, size_px=16),
        HuggingFaceDataModule("pictures", min_per_class=2, size_px=16),
    ]
    for data in sources:
        assert data.class_names == ["cat", "eel"]
        data.setup("fit")
        assert sum(len(data.dataset(split)) for split in ("train", "val")) == 12
        assert [remark.kind for remark in data.class_remarks] == ["rare_classes"]


def test_without_validation_all_train(tlearn: Tlearn) -> None:
    words = ["--config", "folder.yaml", "--data.val_fraction", "0"]
    fitted = tlearn("fit", *words)
    assert fitted.code == 0, fitted.err
    assert (
        fitted.err.count("nothing validates (data.init_args.val_fraction is 0): no epoch is the best, last.ckpt") == 1
    )
    assert "train: 14 images of 4 classes" in fitted.err
    assert fitted.result["result"] == "no epoch was validated, so none is the best: the last one is kept"
    assert fitted.result["checkpoint"] == "runs/folder/version_0/checkpoints/last.ckpt"
    split = json.loads(Path("runs/folder/version_0/split.json").read_text())
    assert (len(split["train"]), split["val"]) == (14, [])
    resumed = tlearn("fit", "--ckpt_path", "runs/folder/version_0", "--trainer.max_epochs", "2")
    assert resumed.code == 0, resumed.err
    assert tlearn("doctor", *words).code == 0
    run = "runs/folder/version_0"
    predicted = tlearn("predict", "--ckpt_path", run, "--data", "pictures", "--out", "p.csv")
    assert predicted.code == 0, predicted.err
    assert "checkpoints has no best.ckpt; last.ckpt is taken" in predicted.err
    validated = tlearn("validate", "--ckpt_path", run)
    assert (validated.code, "there are no validation images: data.init_args.val_fraction is 0" in validated.err) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--model.freeze_backbone", "true"],
        ["--model.freeze_backbone", "true", "--data.train_per_class", "1", "--model.unfreeze", "{layer1: 1}"],
        ["--find_lr"],
    ],
    ids=["features", "features_then_images", "find_lr"],
)
def test_without_validation_other_ways_to_train(tlearn: Tlearn, words: list[str]) -> None:
    fitted = tlearn("fit", "--config", "folder.yaml", "--data.val_fraction", "0", "--trainer.max_epochs", "2", *words)
    assert fitted.code == 0, fitted.err
    assert "epoch 2/2  train loss" in fitted.out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["fit", "--model.head_solver", "lbfgs", "--model.freeze_backbone", "true"], "model.head_solver lbfgs"),
        (["fit", "--model.head_init", "probe"], "model.head_init probe"),
        (["probe"], "the comparison"),
        (["advise"], "the comparison"),
    ],
)
def test_what_chooses_on_validation_images_is_refused_without(tlearn: Tlearn, words: list[str], what: str) -> None:
    answer = tlearn(words[0], "--config", "folder.yaml", "--data.val_fraction", "0", *words[1:])
    assert answer.code == 2
    assert f"there are no validation images (data.init_args.val_fraction is 0), by which {what} chooses" in answer.err
    assert not Path("runs/folder").exists()


def test_plan_and_a_validation_folder_without_a_fraction(tlearn: Tlearn) -> None:
    words = ["--config", "folder.yaml", "--data.val_fraction", "0"]
    assert tlearn("plan", *words).code == 0
    write_folder(Path("pictures/val"), count=2, start=50)
    fitted = tlearn("fit", *words)
    assert fitted.code == 0, fitted.err
    assert "nothing validates" not in fitted.err
    assert "by val/acc, on " in fitted.out


@pytest.mark.parametrize("fraction", [1, -0.1, 1.5])
def test_a_fraction_out_of_range_is_refused_in_python_too(tlearn: Tlearn, fraction: Any) -> None:
    with pytest.raises(TlearnError, match=rf"val_fraction: expected from 0 to below 1, got {fraction}"):
        ImageFolderDataModule("pictures", val_fraction=fraction)
    answer = tlearn("fit", "--config", "folder.yaml", f"--data.val_fraction={fraction}")
    assert answer.code == 2
    assert "val_fraction" in answer.err


def test_a_trainer_of_ones_own_trains_without_validation(tmp_path: Path) -> None:
    data = ImageFolderDataModule("pictures", val_fraction=0, size_px=32, batch_size=7)
    module = TransferModule(4, class_names=data.class_names, weights=None, tap="layer1")
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 2
    assert not [name for name in trainer.callback_metrics if name.startswith("val/")]
