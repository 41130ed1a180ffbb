"""Groups: what names them, and that a split never divides them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder
from tlearn.base.errors import TlearnError
from tlearn.data.doctor.groups import suggestion
from tlearn.data.groups.rule import groups_of_paths
from tlearn.data.images.grouped_split import chosen_groups, draws_of_groups, grouped_split, presence
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.shards.datamodule import StreamingDataModule
from tlearn.data.sources.folder import ImageFolderDataModule
from tlearn.data.sources.huggingface import HuggingFaceDataModule
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.table import ImageTableDataModule

SOLVED = """
seed_everything: 0
trainer: {accelerator: cpu, precision: 32-true}
model: {weights: null, image_size: 32, freeze_backbone: true, head_solver: lbfgs}
data: {class_path: ImageTableDataModule, init_args: {table: t.csv, val_fraction: 0.5}}
"""
SITES = ("north", "south", "east", "west", "hill", "lake")


def write_sites(folder: Path, sites: tuple[str, ...] = SITES, count: int = 3, start: int = 0) -> Path:
    """Write ``folder/<class>/<site>/<class>000.png`` and so on, of cats and dogs."""
    for name in ("cat", "dog"):
        for place, site in enumerate(sites):
            (folder / name / site).mkdir(parents=True, exist_ok=True)
            for number in range(start, start + count):
                picture(name, 100 * place + number).save(folder / name / site / f"{name}{number:03d}.png")
    return folder


def opened(root: Path, stage: str = "fit", **options: Any) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), **{"size_px": 16, **options})
    data.setup(stage)
    return data


def names_of(data: ImageFilesDataModule, split: Any) -> list[str]:
    images = data.dataset(split)
    assert isinstance(images, StreamedImages)
    assert isinstance(images.pictures, FilePictures)
    return [images.pictures.name(row) for row in images.indices.tolist()]


def groups_of(data: ImageFilesDataModule, split: Any) -> list[str]:
    images = data.dataset(split)
    assert images.groups is not None
    return [data.group_names[code] for code in images.groups[images.indices].tolist()]


def write_groups(folder: Path, header: str = "path,label,patient", **cells: str) -> Path:
    """Write twelve pictures of six patients, ``p0_0.png`` and so on, and ``t.csv`` with a row for each."""
    rows = [header]
    for number in range(12):
        name, patient = ("cat", "dog")[number % 2], f"p{number // 2}"
        path = folder / "photos" / patient / f"{patient}_{number % 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(name, number).save(path)
        rows.append(f"{path.relative_to(folder)},{name},{cells.get(path.stem, patient)}")
    (folder / "t.csv").write_text("\n".join(rows))
    return folder / "t.csv"


def table(path: Path, stage: str = "fit", **options: Any) -> ImageTableDataModule:
    data = ImageTableDataModule(str(path), size_px=16, **options)
    data.setup(stage)
    return data


@pytest.mark.parametrize("group", [1, r"/([^/]+)/[^/]*$"])
def test_folders_below_the_class_folder_are_groups(tmp_path: Path, group: int | str) -> None:
    plain = write_sites(tmp_path / "plain") if group == 1 else None
    for root in filter(None, (plain, write_sites(tmp_path / "split" / "train").parent)):
        data = opened(root, group=group, val_fraction=0.3)
        assert data.group_names == sorted(SITES)
        train, val = groups_of(data, "train"), groups_of(data, "val")
        assert sorted({*train, *val}) == sorted(SITES)
        assert not set(train) & set(val)
        assert len(set(val)) == 2
        assert groups_of(data, "val") == [name.split("/")[-2] for name in names_of(data, "val")]


@pytest.mark.parametrize("group", ["patient", 2, r"([^_/]+)_[^/]*$"])
def test_a_column_a_folder_or_an_expression_names_the_groups_of_a_table(tmp_path: Path, group: int | str) -> None:
    data = table(write_groups(tmp_path), group=group, val_fraction=0.3)
    assert data.group_names == [f"p{number}" for number in range(6)]
    assert len(set(groups_of(data, "val"))) == 2
    for split in ("train", "val"):
        assert groups_of(data, split) == [name.split("/")[1] for name in names_of(data, split)]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("site", "'site' is no column, and as a regular expression has no part in round brackets; expected a col"),
        ("(a)(b)", "2 parts in round brackets"),
        ("([", "unterminated character set"),
        (0, "expected the number of a folder level from 1 on, or a regular expression"),
        (True, "got True"),
        ("", "got ''"),
    ],
)
def test_what_names_no_groups_is_refused(tmp_path: Path, group: Any, told: str) -> None:
    with pytest.raises(TlearnError, match=re.escape(told)) as refused:
        table(write_groups(tmp_path), group=group)
    assert "\n" not in str(refused.value)


def test_pictures_without_a_group_are_named_or_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_sites(tmp_path / "pictures")
    for number in range(4):
        picture("cat", 900 + number).save(root / "cat" / f"loose{number}.png")
    told = (
        "train: 4 of 40 pictures lie above that folder level (data.init_args.group 1): cat/loose0.png, cat/loose1.png, "
        "cat/loose2.png and 1 more; mend the option, or leave them out: --data.init_args.on_error skip"
    )
    with pytest.raises(TlearnError, match=re.escape(told)):
        opened(root, group=1)
    caplog.set_level("INFO")
    data = opened(root, group=1, on_error="skip")
    assert len(data.dataset("train")) + len(data.dataset("val")) == 36
    assert "train: 4 of 40 pictures lie above that folder level" in caplog.text
    assert "; left out" in caplog.text
    with pytest.raises(TlearnError, match="40 of 40 pictures are not matched by it"):
        opened(root, group="(site)_", on_error="skip")


def test_an_empty_cell_in_a_column_of_groups_names_its_row(tmp_path: Path) -> None:
    path = write_groups(tmp_path, p1_0="", p4_1=" ")
    with pytest.raises(TlearnError, match=r"2 rows \(4, 11\): no group; fill it in or remove the row"):
        table(path, group="patient")
    data = table(path, group="patient", on_error="skip", val_fraction=0.3)
    assert len(data.dataset("train")) + len(data.dataset("val")) == 10


def test_the_run_names_its_groups(tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").write_text(CONFIG)
    write_sites(tmp_path / "pictures")
    answer = tlearn(
        "fit", "--config", "folder.yaml", "--data.init_args.group", "1", "--data.init_args.val_fraction=0.3"
    )
    assert answer.code == 0, answer.err
    record = json.loads(Path("runs/folder/version_0/split.json").read_text())
    train, val = record["train_groups"], record["val_groups"]
    assert sorted(train + val) == sorted(SITES)
    assert {name.split("/")[1] for name in record["val_files"]} == set(val)
    assert (
        f"val: 12 of these 36 images, 2 groups, whole ones ({', '.join(val)}), are held back to validate" in answer.err
    )
    assert "train: 36 images of 2 classes (cat 18, dog 18) in 6 groups in" in answer.err


def test_one_group_and_classes_of_one_group(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_sites(tmp_path / "one", ("north",))
    with pytest.raises(TlearnError, match=r"all 6 images are of one group \(north\), which is never divided"):
        opened(root, group=1)
    assert len(opened(root, group=1, val_fraction=0.0).dataset("train")) == 6
    root = write_sites(tmp_path / "three", ("north", "south"))
    (root / "eel" / "lake").mkdir(parents=True)
    picture("eel", 0).save(root / "eel" / "lake" / "eel.png")
    caplog.set_level("WARNING")
    data = opened(root, group=1, val_fraction=0.3)
    assert "eel" not in {name.split("/")[0] for name in names_of(data, "val")}
    assert "1 class of a single group stays in training, nothing validates it: eel (lake)" in caplog.text
    root = write_folder(tmp_path / "two" / "train", ("cat", "dog")).parent
    with pytest.raises(
        TlearnError, match=r"none of 2 groups \(cat, dog\) can validate, as each has a class that no other"
    ):
        opened(root, group="train/([^/]*)")


def test_pictures_that_come_later_move_no_group() -> None:
    rng = np.random.default_rng(0)
    for seed in range(50):
        names = [f"site{number}" for number in range(int(rng.integers(4, 40)))]
        classes = [f"c{number}" for number in range(int(rng.integers(2, 8)))]
        counts = rng.integers(0, 9, (len(names), len(classes))) * (rng.random((len(names), len(classes))) < 0.7)
        counts[:2] += 1  # at the least two groups of each class
        more = counts + rng.integers(0, 30, counts.shape) * (counts > 0)
        before, after = (validating(each, names, classes, seed) for each in (counts, more))
        assert before == after
        shuffled = rng.permutation(len(names))
        assert validating(counts[shuffled], [names[n] for n in shuffled], classes, seed) == before


def validating(counts: np.ndarray, names: list[str], classes: list[str], seed: int) -> set[str]:
    groups = np.repeat(np.arange(len(names)), counts.sum(axis=1))
    labels = np.concatenate([np.repeat(np.arange(len(classes)), row) for row in counts])
    train, val = grouped_split(labels, groups, names, 0.2, seed, classes)
    assert sorted([*train, *val]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[val])
    assert set(labels[train]) == set(labels)
    return {names[group] for group in groups[val]}


def test_each_class_has_its_share_of_the_groups() -> None:
    groups = np.arange(40)
    has = presence(groups % 4, groups, 4)
    chosen = chosen_groups(has, draws_of_groups([f"g{number}" for number in groups], 0), 0.2)
    assert has[chosen].sum(axis=0).tolist() == [2, 2, 2, 2]
    others = chosen_groups(has, draws_of_groups([f"g{number}" for number in groups], 1), 0.2)
    assert (chosen != others).any()


def test_whole_groups_are_held_back_to_test_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_sites(tmp_path / "pictures", tuple(f"site{number}" for number in range(20)))
    caplog.set_level("INFO")
    options: dict[str, Any] = {"group": 1, "test_fraction": 0.3}
    tested, data = opened(root, "test", **options), opened(root, **options)
    was = set(groups_of(tested, "test"))
    assert 2 <= len(was) <= 12
    assert len(names_of(tested, "test")) == 6 * len(was)
    assert not was & {*groups_of(data, "train"), *groups_of(data, "val")}
    assert data.split_record()["test_groups"] == sorted(was)
    assert f"{6 * len(was)} of 120 files of 20 groups, whole ones are held back for test" in caplog.text
    write_sites(root, tuple(f"site{number}" for number in range(10)), start=50)
    write_sites(root, ("new",))
    assert set(groups_of(opened(root, "test", **options), "test")) - {"new"} == was
    assert set(opened(root, "fit", min_per_class=2, **options).class_names) == {"cat", "dog"}


def test_groups_on_both_sides_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "pictures"
    write_sites(root / "train")
    write_sites(root / "val", ("north", "south", "moor"), start=50)
    write_sites(root / "test", ("hill", "moor"), start=80)
    caplog.set_level("WARNING")
    opened(root, group=1)
    assert "2 groups are those of train and of val (north, south): the network has learned from" in caplog.text
    caplog.clear()
    opened(root, "test", group=1)
    assert "1 group is one of train and of test (hill): the network has learned from" in caplog.text


def test_a_table_without_the_column_is_tested_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "other").mkdir()
    path = write_groups(tmp_path / "other", "path,label,split")
    path.write_text(re.sub(r",p\d$", ",test", path.read_text(), flags=re.MULTILINE))
    caplog.set_level("WARNING")
    data = table(path, "test", group="patient", stored_classes=["cat", "dog"])
    assert len(data.dataset("test")) == 12
    assert data.dataset("test").groups is None
    assert not caplog.text


def write_patients(folder: Path) -> Path:
    """Write 16 patients of ten pictures: the patient can be seen, its label cannot; and 16 new ones to test on."""
    rows = []
    for patient in range(32):
        rng = np.random.default_rng(patient)
        colour, label = rng.integers(40, 216, 3), ("benign", "malignant")[patient % 2]
        pattern = rng.normal(0, 35, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
        for number in range(10):
            noise = np.random.default_rng([patient, number]).normal(0, 15, (32, 32, 3))
            name = f"photos/p{patient:02d}_{number}.png"
            (folder / "photos").mkdir(exist_ok=True)
            Image.fromarray((colour + pattern + noise).clip(0, 255).astype(np.uint8)).save(folder / name)
            rows.append(f"{name},{label},p{patient:02d},{'train' if patient < 16 else 'test'}")
    (folder / "t.csv").write_text("\n".join(["path,label,patient,split", *rows]))
    return folder / "t.csv"


def percent(answer: Answer) -> float:
    return float(answer.result["accuracy"].split(" %")[0])


def test_patients_of_both_sides_no_longer_flatter(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_patients(tmp_path)
    Path("patients.yaml").write_text(SOLVED)
    found = []
    for options in ([], ["--data.init_args.group", "patient"]):
        answer = tlearn("fit", "--config", "patients.yaml", *options)
        assert answer.code == 0, answer.err
        found.append(percent(answer))
    answer = tlearn("test", "runs/patients/version_1")
    assert answer.code == 0, answer.err
    truth = percent(answer)
    assert found[0] > 90
    assert max(found[1], truth) < 70  # eight patients in validation, sixteen to test on: chance is 50


def test_shards_keep_the_groups(tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_sites(tmp_path / "pictures" / "train", tuple(f"site{number}" for number in range(12))).parent
    answer = tlearn("optimize", "pictures", "packed", "--data.init_args.group", "1", *TEST_SHARE)
    assert answer.code == 0, answer.err
    plain = opened(root, group=1, test_fraction=0.3)
    for group in (None, 1, r"/([^/]+)/[^/]*$"):
        data = StreamingDataModule("packed", group=group, size_px=16)
        data.setup("fit")
        for split in ("train", "val"):
            record = data.split_record()[f"{split}_groups"]
            assert record == plain.split_record()[f"{split}_groups"]
    assert "the number of a folder level" in tlearn("optimize", "pictures", "more", "--data.init_args.group", "x").err
    with pytest.raises(
        TlearnError, match=r"pictures lie above that folder level \(data.init_args.group 5\).* more; mend"
    ):
        StreamingDataModule("packed", group=5, size_px=16).setup("fit")


TEST_SHARE = ("--data.init_args.test_fraction", "0.3")


def test_a_column_of_a_hugging_face_dataset_names_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    pictures, sites = [picture("cat", number) for number in range(24)], [f"s{number % 6}" for number in range(24)]
    labels = [("cat", "dog")[number % 2] for number in range(24)]
    columns = {"image": pictures, "label": labels, "site": sites}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(columns)}).save_to_disk("saved")
    data = HuggingFaceDataModule("saved", group="site", val_fraction=0.3, size_px=16)
    data.setup("fit")
    record = data.split_record()
    assert sorted(record["train_groups"] + record["val_groups"]) == [f"s{number}" for number in range(6)]
    assert len(record["val_groups"]) == 2
    with pytest.raises(TlearnError, match=r"unknown group 'side'\. Did you mean 'site'"):
        HuggingFaceDataModule("saved", group="side", size_px=16)


def findings() -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in json.loads(Path("doctor.json").read_text())["findings"]}


def test_the_doctor_counts_groups_and_looks_across_them(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_sites(tmp_path / "pictures" / "train").parent
    write_sites(root / "val", ("north", "moor"), start=50)
    Image.open(root / "train/cat/north/cat000.png").save(root / "train/cat/west/again.jpg", quality=90)
    answer = tlearn("doctor", "pictures", "--data.init_args.group", "1")
    assert "train: 37 pictures of 2 classes (cat 19, dog 18) in 6 groups" in answer.out
    assert "val: 12 pictures of 2 classes (cat 6, dog 6) in 2 groups" in answer.out
    found = findings()
    assert found["groups_across_splits"]["what"].startswith("1 group is in more than one split (north)")
    assert len(found["groups_across_splits"]["files"][0]) == 12
    alike = found["near_duplicates_across_groups"]
    assert any("train/cat/west/again.jpg" in group for group in alike["files"])
    assert "sequences" not in found
    picture("dog", 999).save(root / "train" / "dog" / "loose.png")
    answer = tlearn("doctor", "pictures", "--data.init_args.group", "1")
    assert answer.code == 2
    assert findings()["without_group"]["severity"] == "error"
    assert (
        "train: 1 of 38 pictures lies above that folder level (data.init_args.group 1): train/dog/loose.png"
        in answer.err
    )


def named(*names: str) -> tuple[list[str], list[str]]:
    return [f"train/{name}" for name in names], [name.partition("/")[0] for name in names]


@pytest.mark.parametrize(
    ("pattern", "option", "groups"),
    [
        ("{c}/site{g:02d}/{i}.jpg", 1, 8),
        ("{c}/{c}_patient{g}_{i}.jpg", r"(?i)", 8),
        ("{c}/0004{g}_{i}.jpg", r"([^/]+)[_-]\d+", 8),
        ("{c}/{c}_anna{g}x_{i}.jpg", r"[_-]([^_/-]+)[_-]\d+", 8),
        ("{c}/IMG_{n:04d}.jpg", None, 0),
        ("{c}/{c}_{n}.jpg", None, 0),
        ("{c}/{n}_{u}.jpg", None, 0),
        ("{c}/{u}.jpg", None, 0),
    ],
)
def test_names_suggest_groups(pattern: str, option: int | str | None, groups: int) -> None:
    each = [(c, g, i) for c in ("cat", "dog") for g in range(8) for i in range(4)]
    uses = [pattern.format(c=c, g=g, i=i, n=number, u=f"{number * 7919:08x}f") for number, (c, g, i) in enumerate(each)]
    names, labels = named(*uses)
    found = suggestion(names, labels, 2)
    if option is None:
        assert found is None
        return
    assert found is not None
    assert found.option == option or str(found.option).startswith(str(option))
    assert len(found.names) == groups
    checked = groups_of_paths(found.option, names, 2)
    assert checked is not None
    assert len(set(checked)) == groups


def test_the_doctor_suggests_groups(tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(24):
        name = ("cat", "dog")[number % 2]
        path = tmp_path / "pictures" / name / f"plate{number // 4}_{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(name, number).save(path)
    answer = tlearn("doctor", "pictures")
    assert answer.code == 0, answer.err
    option = r"--data.init_args.group '([^/]+)[_-]\d+\.[^./]+$'"
    assert findings()["sequences"]["what"].endswith(option)
    assert "6 groups (plate" in findings()["sequences"]["what"]
    answer = tlearn("doctor", "pictures", "--data.init_args.group", option.split("'")[1])
    assert "in 6 groups" in answer.out
    assert "sequences" not in findings()
