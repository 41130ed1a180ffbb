"""Hugging Face's datasets as they lie in folders, which the tests write; the network is off."""

from __future__ import annotations

import io
import json
import logging
import pickle
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import datasets
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from tests.conftest import Tlearn
from tlearn import HuggingFaceDataModule, TlearnError
from tlearn.base.types import Batch

STEP = 60  # levels from one class to the next


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    reports = []

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("datasets.load.get_session", lambda: reports.append(1))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    yield
    assert not reports  # the library counts what is loaded, and swallows a failure to say so


def picture(shade: int) -> Image.Image:
    return Image.new("RGB", (24, 20), (STEP * shade,) * 3)


def table(labels: list[Any], names: list[str] | None = None, shades: list[int] | None = None) -> datasets.Dataset:
    """Rows whose pictures have the shade of their label, or those given."""
    kind = datasets.ClassLabel(names=names) if names else datasets.Value("string" if "a" in labels else "int64")
    shades = shades or labels
    rows = {"image": [picture(shade) for shade in shades], "label": labels}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(image=datasets.Image(), label=kind))


def write_parquet(root: Path, **splits: datasets.Dataset) -> str:
    root.mkdir(exist_ok=True)
    for split, rows in splits.items():
        rows.to_parquet(root / f"{split}-00000-of-00001.parquet")
    return str(root)


def write_image_folder(root: Path) -> str:
    for split, count in (("train", 6), ("test", 2)):
        for shade, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                picture(shade).save(root / split / name / f"{number}.png")
    return str(root)


def opened(path: str, stage: str = "fit", **options: Any) -> HuggingFaceDataModule:
    data = HuggingFaceDataModule(path, **{"size_px": 16, "batch_size": 4, **options})
    data.setup(stage)
    return data


def batches_of(data: HuggingFaceDataModule) -> list[Batch]:
    return [*data.train_dataloader(), *data.val_dataloader()]


def assert_shades(batches: list[Batch], shades: list[int]) -> None:
    for batch in batches:
        assert batch.images.shape[1:] == (3, 16, 16)
        seen = (batch.images.float().mean(dim=(1, 2, 3)) / STEP).round().long()
        torch.testing.assert_close(seen, torch.tensor(shades)[batch.targets])


def test_trains_and_tests_from_the_command_line(tlearn: Tlearn, tmp_path: Path) -> None:
    names = ["cat", "dog", "eel"]
    train = table([0, 1, 2] * 4, names)
    path = write_parquet(tmp_path / "pets", train=train, validation=table([0, 1, 2], names), test=table([0, 1], names))
    words = ["--data", "HuggingFaceDataModule", "--data.path", "pets", "--data.num_workers", "2"]
    words += ["--data.batch_size", "4", "--model.optimizer.lr", "0.01"]
    words += ["--model.weights", "null", "--model.tap", "layer1", "--model.image_size", "32"]
    answer = tlearn("fit", *words, "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    assert answer.code == 0, answer.err
    assert f"train: 12 images of 3 classes (cat 4, dog 4, eel 4) in {path}, train, 12 rows (" in answer.err
    assert "val: 3 images" in answer.err
    assert "examples" not in answer.err  # the bars of the library
    tested = tlearn("test", "--ckpt_path", "runs/default/version_0")
    assert tested.code == 0, tested.err
    assert "test: 2 images of 2 classes" in tested.err
    assert tested.result["accuracy"].endswith(" of 2")


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    names = ["cat", "dog", "no picture"]
    train = table([0, 1] * 5 + [-1], names, shades=[0, 1] * 5 + [3])  # -1: a label that is kept secret
    path = write_parquet(tmp_path / "pets", train=train, test=table([1, 0], names))
    data = opened(path)
    assert (data.task, data.class_names) == ("classification", ["cat", "dog"])
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (8, 2)
    data.setup("test")
    assert_shades([*batches_of(data), *data.test_dataloader()], [0, 1])


@pytest.mark.parametrize("loader", [True, False])
def test_a_folder_of_pictures(loader: bool, tmp_path: Path) -> None:
    path = write_image_folder(tmp_path / "pictures")
    data = opened("imagefolder", data_dir=path) if loader else opened(path)
    assert data.class_names == ["cat", "dog"]
    data.setup("test")
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [10, 2, 4]
    assert_shades([*batches_of(data), *data.test_dataloader()], [0, 1])


@pytest.mark.parametrize("labels", [[False, True], [7, 9], ["b", "a"]])
def test_labels_without_a_list_of_classes(labels: list[Any], tmp_path: Path) -> None:
    rows = {"img": [picture(shade) for shade in (0, 1) * 5], "species": labels * 5}
    data = datasets.Dataset.from_dict(rows).cast_column("img", datasets.Image())
    path = write_parquet(tmp_path / "pets", train=data)
    opened_data = opened(path, image_column="img", label_column="species")
    assert opened_data.class_names == sorted(map(str, labels))
    shades = [0, 1] if labels != ["b", "a"] else [1, 0]
    assert_shades(batches_of(opened_data), shades)


@pytest.mark.parametrize(("labels", "kind"), [([0.5, 1.5], "float64"), ([["a"], ["b", "a"]], "List")])
def test_labels_that_are_no_class_are_refused_in_one_line(labels: list[Any], kind: str, tmp_path: Path) -> None:
    rows = {"image": [picture(0), picture(1)] * 5, "label": labels * 5}
    path = write_parquet(
        tmp_path / "pets", train=datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    )
    with pytest.raises(TlearnError, match=rf"label_column label is .*{kind}.*expected one class a row") as fault:
        opened(path)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_what_was_saved_to_disk(name: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    train = table(["b", "a", None] * 4, shades=[1, 0, 2] * 4).with_format("numpy")
    held_back = table(["a", "b", "z"], shades=[0, 1, 2])
    datasets.DatasetDict({"train": train, name: held_back}).save_to_disk(tmp_path / "saved")
    data = opened(str(tmp_path / "saved"))
    assert data.class_names == ["a", "b"]
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (8, 2)
    assert "left out 4 without a label" in said.text
    assert "left out 1 val images: never trained on z" in said.text
    assert_shades(batches_of(data), [0, 1])
    assert not (tmp_path / "cache").exists()  # nothing was copied
    with pytest.raises(TlearnError, match=rf"saved has no split test; it has train, {name}$"):
        data.setup("test")


def test_a_single_dataset_saved_to_disk_trains(tmp_path: Path) -> None:
    table([10, 9] * 4, shades=[1, 0] * 4).with_format("numpy").save_to_disk(tmp_path / "one")
    data = opened(str(tmp_path / "one"))
    assert data.class_names == ["9", "10"]  # by number, not by text
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (6, 2)
    assert_shades(batches_of(data), [0, 1])
    assert not (tmp_path / "cache").exists()  # nothing was copied


def test_only_test_opens_the_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table([0, 1] * 4, ["cat", "dog"])
    path = write_parquet(tmp_path / "pets", train=rows, test=rows)
    asked = []
    as_dataset = datasets.DatasetBuilder.as_dataset

    def record(builder: Any, split: str) -> Any:
        asked.append(split)
        return as_dataset(builder, split=split)

    monkeypatch.setattr(datasets.DatasetBuilder, "as_dataset", record)
    data = opened(path)
    assert asked == ["train"]
    data.setup("test")
    assert asked == ["train", "test"]


def test_files_as_plain_bytes_are_pictures(tmp_path: Path) -> None:
    files = []
    for shade in [0, 1] * 4:
        files.append(io.BytesIO())
        picture(shade).save(files[-1], "PNG")
    rows = datasets.Dataset.from_dict({"photo": [file.getvalue() for file in files], "kind": [0, 1] * 4})
    data = opened(write_parquet(tmp_path / "plain", train=rows), image_column="photo", label_column="kind")
    assert data.class_names == ["0", "1"]
    assert_shades(batches_of(data), [0, 1])


def test_workers_decode_the_same(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets", train=table([0, 1] * 6, ["cat", "dog"]))
    one, two = (batches_of(opened(path, num_workers=workers)) for workers in (0, 2))
    assert [batch.indices.tolist() for batch in one] == [batch.indices.tolist() for batch in two]
    assert all(torch.equal(a.images, b.images) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("saved", ["one", "several", "parquet"])
def test_a_data_module_goes_through_a_pickle(saved: str, tmp_path: Path) -> None:
    rows = table([10, 9] * 4, shades=[1, 0] * 4)
    if saved == "parquet":
        path = write_parquet(tmp_path / saved, train=rows, test=rows)
    else:
        path = str(tmp_path / saved)
        (rows if saved == "one" else datasets.DatasetDict({"train": rows, "test": rows})).save_to_disk(path)
    data = opened(path)
    copied = pickle.loads(pickle.dumps(data))
    for mine, theirs in zip(batches_of(data), batches_of(copied), strict=True):
        assert torch.equal(mine.images, theirs.images)
        assert torch.equal(mine.targets, theirs.targets)
    if saved != "one":
        copied.setup("test")


def test_validation_is_split_off_by_class_and_seed(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets", train=table([0] * 10 + [1] * 20, ["cat", "dog"]))
    rows = [opened(path, split_seed=seed).dataset("val").indices.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert [row >= 10 for row in rows[0]] == [False, True, True]


def test_chosen_classes_are_numbered_as_given(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    path = write_parquet(tmp_path / "pets", train=table([0, 1, 2] * 4, ["cat", "dog", "eel"]))
    data = opened(path, classes=["eel", "cat"])
    assert (data.class_names, len(data.dataset("train"))) == (["eel", "cat"], 6)
    assert "left out 4 of classes not chosen" in said.text
    assert_shades(batches_of(data), [2, 0])


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    rows = table([0, 1] * 4, ["cat", "dog"])
    path = write_parquet(tmp_path / "pets", train=rows)
    mark = opened(path).data_fingerprint
    assert opened(path).data_fingerprint == mark
    write_parquet(tmp_path / "pets", train=table([0, 1] * 4, ["cat", "dog"], shades=[1, 0] * 4))
    changed = opened(path)
    assert changed.data_fingerprint != mark
    assert_shades(batches_of(changed), [1, 0])


def test_a_row_without_a_picture_is_named(tmp_path: Path) -> None:
    rows = table([0, 1] * 4, ["cat", "dog"])
    rows = rows.map(lambda row, number: {"image": None if number == 5 else row["image"]}, with_indices=True)
    data = opened(write_parquet(tmp_path / "pets", train=rows))
    with pytest.raises(TlearnError, match=r"item 5 of .*pets, train, 8 rows \(.*\): the row has no picture"):
        batches_of(data)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"image_column": "img"}, "unknown image_column 'img'. Did you mean 'image'? Choices: image, label"),
        ({"label_column": "labels"}, "unknown label_column 'labels'. Did you mean 'label'? Choices: image, label"),
        ({"label_column": "image"}, "label_column image is Image(mode=None, decode=True), expected one class a row"),
        ({"name": "large"}, "large cannot be opened as a Hugging Face dataset: "),
        ({"classes": ["cat", "dig"]}, "unknown class 'dig'. Did you mean 'dog'? Choices: cat, dog"),
        (
            {"path": "./nowhere"},
            "data.init_args.path: expected a folder or a name on the hub, found nothing at nowhere",
        ),
        ({"path": "some/name"}, "some/name cannot be opened as a Hugging Face dataset: the network was asked"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets", train=table([0, 1] * 4, ["cat", "dog"]))
    with pytest.raises(TlearnError) as fault:
        HuggingFaceDataModule(**{"path": path, **options})
    assert expected in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_damaged_file_is_told_once(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    logging.getLogger("datasets").addHandler(said.handler)
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets/train.parquet").write_bytes(b"hello")
    with pytest.raises(
        TlearnError, match=r"pets cannot be opened as a Hugging Face dataset: Parquet file size is 5 bytes"
    ):
        HuggingFaceDataModule(str(tmp_path / "pets"))
    logging.getLogger("datasets").removeHandler(said.handler)
    assert said.text == ""  # the library would say it twice more


def test_one_class_is_too_few(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets", train=table([0] * 4, ["cat", "dog"]))
    with pytest.raises(TlearnError, match=r"found 1 class \(cat\) among the training images; need at least 2"):
        HuggingFaceDataModule(path)


def test_the_package_is_asked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TlearnError, match=r"^HuggingFaceDataModule needs: pip install 'tlearn\[hf\]'$"):
        HuggingFaceDataModule("nowhere", image_column="no")


def put(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(shade).save(path)


def in_class_folders(root: Path) -> None:
    """Class folders as people make them: without train, with folders inside, and with names that say a split."""
    for shade, name in enumerate(("cat", "dog")):
        for number in range(4):
            put(root / f"deep/train/{name}/{('indoor', 'outdoor')[number % 2]}/{number}.png", shade)
            put(root / f"bare/{name}/{('indoor', 'outdoor')[number % 2]}/{number}.png", shade)
            put(root / f"names/{name}/{('train_', 'pic_')[number % 2]}{number}.png", shade)
            put(root / f"both/train/{name}/{number}.png", shade)
            put(root / f"both/train/test strips/{name}{number}.png", 2)
            put(root / f"good/train/{name}/{number}.png", shade)
            put(root / f"good/val/{name}/{number}.png", shade)


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("deep", "deep: its classes are the innermost folders (indoor, outdoor), those of train are cat, dog; for one"),
        ("bare", "bare: its classes are the innermost folders (indoor, outdoor), those of bare are cat, dog; for one"),
        ("names", "names: 4 of 8 picture files are not read, the first cat/pic_1.png: where names of files or folders"),
        ("both", "both: 8 picture files in two splits (train and test) for what their names say: train/test strips/"),
        ("good", ""),
    ],
)
@pytest.mark.parametrize("loader", [True, False])
def test_what_the_folder_rules_leave_out_is_told_with_the_way_out(
    folder: str, told: str, loader: bool, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    in_class_folders(tmp_path)
    path = str(tmp_path / folder)
    opened("imagefolder", data_dir=path) if loader else opened(path)
    lines = {line.getMessage() for line in said.records if "--data ImageFolderDataModule" in line.getMessage()}
    assert len(lines) == bool(told)
    for line in lines:
        assert told in line
        assert f"for one class a folder: --data ImageFolderDataModule --data.root {path}" in line
        assert (f"with the class folders in {path}/train" in line) == (folder in ("bare", "names"))


def test_a_folder_of_pictures_with_labels_in_its_metadata_has_those(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    in_class_folders(tmp_path)
    root = tmp_path / "deep/train"
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    rows = [json.dumps({"file_name": name, "label": name[:3]}) for name in files]
    (root / "metadata.jsonl").write_text("\n".join(rows))
    assert opened(str(tmp_path / "deep")).class_names == ["cat", "dog"]
    assert "ImageFolderDataModule" not in said.text


def test_parquet_files_that_are_not_read_are_told(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    rows = table([0, 1] * 4, ["cat", "dog"])
    write_parquet(tmp_path / "pets", train=rows)
    rows.to_parquet(tmp_path / "pets" / "more.parquet")
    opened(str(tmp_path / "pets"))
    assert "pets: 1 of 2 files are not read, the first more.parquet: where names of files or folders say" in said.text


def test_names_in_two_forms_and_rows_without_a_label(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """As in a table: one class in any form, a blank is no label, another letter case is told."""
    labels = ["caf\u00e9", "cafe\u0301", "a", " ", "", None, "A"]
    rows = datasets.Dataset.from_dict(
        {"image": [picture(1)] * 14, "label": labels * 2},
        features=datasets.Features(image=datasets.Image(), label=datasets.Value("string")),
    )
    data = opened(write_parquet(tmp_path / "pets", train=rows, val=rows))
    assert data.class_names == ["A", "a", "caf\u00e9"]
    assert "train: 8 images of 3 classes (A 2, a 2, caf\u00e9 4)" in said.text
    assert "left out 6 without a label" in said.text
    assert "kept apart: 'a' and 'A'" in said.text
    names = ["1", "1.0", "2"]
    data = opened(write_parquet(tmp_path / "numbers", train=table([0, 1, 2] * 4, names)))
    assert data.class_names == ["1", "2"]


def deep_rows(labels: list[int], most: int = 4095) -> datasets.Dataset:
    """Files of 16 bits whose numbers use 12: half of the range for one class, all of it for the other."""
    files = []
    for label in labels:
        values = np.linspace(0, (most // 2, most)[label], 24 * 20).reshape(24, 20).astype(np.uint16)
        content = io.BytesIO()
        Image.fromarray(values).save(content, "TIFF" if label else "PNG")
        files.append({"bytes": content.getvalue(), "path": None})
    kind = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["half", "whole"]))
    return datasets.Dataset.from_dict({"image": files, "label": labels}, features=kind)


def test_what_is_black_and_white_is_learned_from_a_sample(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    path = write_parquet(tmp_path / "deep", train=deep_rows([0, 1] * 8), validation=deep_rows([0, 1]))
    data = opened(path, crop_pct=1.0)
    assert data.framing.reading.ranges == {"uint16": (0, 4095)}
    assert "train: of 16 looked at, 16 files of uint16 hold 12 bits" in said.text
    for batch in batches_of(data):
        brightest = batch.images.amax(dim=(1, 2, 3))
        assert ((brightest > 200) == (batch.targets == 1)).all()
        assert brightest.min() > 100
    given = opened(path, crop_pct=1.0, intensity="type")
    assert max(int(batch.images.max()) for batch in batches_of(given)) <= 4095 >> 8
    before = opened(path, crop_pct=1.0, stored_reading={"intensity": "type", "converts_colour": False})
    assert before.framing.reading.ranges is None or before.framing.reading.ranges == {}


def test_a_set_of_eight_bits_is_not_decoded_to_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, decoded = ["cat", "dog"], list[int]()
    path = write_parquet(tmp_path / "pets", train=table([0, 1] * 6, names))
    monkeypatch.setattr("tlearn.data.decoding.decode.samples_of", lambda *_: decoded.append(1))
    data = opened(path)
    assert (data.framing.reading.ranges, decoded) == ({}, [])


def test_bands_of_a_row_are_named(tmp_path: Path) -> None:
    content = io.BytesIO()
    tifffile.imwrite(content, np.zeros((20, 24, 5), np.uint16), photometric="minisblack", planarconfig="contig")
    files = [{"bytes": content.getvalue(), "path": None}] * 8
    kind = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"]))
    rows = datasets.Dataset.from_dict({"image": files, "label": [0, 1] * 4}, features=kind)
    with pytest.raises(TlearnError, match=r"item 0 of .*: TIFF with 5 bands of 16 bits: choose what becomes red"):
        opened(write_parquet(tmp_path / "bands", train=rows))
