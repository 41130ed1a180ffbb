"""``doctor``: what is wrong with a folder of pictures, and which of them to leave out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Answer, Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_broken, write_folder, write_splits
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.duplicates import near_alike, same_content
from tlearn.data.files.inspection import Inspection, inspect_file, inspect_files
from tlearn.data.files.reading import UnreadableImageError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").write_text(CONFIG)
    return write_splits(tmp_path / "pictures", train=10)


def doctor(tlearn: Tlearn, *words: str) -> tuple[Answer, dict[str, dict[str, Any]]]:
    answer = tlearn("doctor", "--config", "folder.yaml", *words)
    content = json.loads(Path("doctor.json").read_text())
    return answer, {finding["kind"]: finding for finding in content["findings"]}


def scene(number: int, size_px: tuple[int, int] = (120, 90)) -> Image.Image:
    """Soft blobs: pictures with structure, none like another."""
    draws = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(draws).resize(size_px, Image.Resampling.BICUBIC)


def test_nothing_is_found_in_a_good_folder(tlearn: Tlearn, root: Path) -> None:
    answer, findings = doctor(tlearn)
    assert answer.code == 0, answer.err
    assert findings == {}
    lines = answer.out.splitlines()
    assert lines[0] == "train: 30 pictures of 3 classes (cat 10, dog 10, eel 10); PNG; colour; short side 64 px"
    assert lines[-3:] == [
        "nothing found",
        "every file by name: doctor.json",
        f"next: tlearn advise --config={root.parent / 'folder.yaml'}",
    ]
    assert "precision" not in answer.err
    assert not Path("runs").exists()


def test_what_is_found_is_said_with_files_that_can_be_copied_and_what_to_do_next(tlearn: Tlearn, root: Path) -> None:
    for split in ("val", "test"):
        shutil.rmtree(root / split)
    for path in sorted(root.glob("train/*")):
        path.rename(root / path.name)
    (root / "train").rmdir()
    long = "a name of a photograph that is longer than the eighty columns of a terminal " * 2
    shutil.copy(root / "cat/cat000.png", root / f"cat/{long}.png")
    answer = tlearn("doctor", "pictures", "--model.weights", "null")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "train: 31 pictures of 3 classes (cat 11, dog 10, eel 10); PNG; colour; short side 64 px",
        f"note     {root} has no folder train: its 3 folders are the classes",
        "note     1 picture more than once in a split: they count double",
        f"         cat/{long}.png = cat/cat000.png",
        "         --fix leaves out 1",
        "--fix puts them on the list pictures/tlearn-exclude.json; no file is deleted",
        "every file by name: doctor.json",
        "next: tlearn doctor pictures --model.weights null --fix",
    ]
    answer = tlearn("doctor", "pictures", "--model.weights", "null", "--fix")
    assert answer.out.splitlines()[-1] == "next: tlearn advise pictures --model.weights null"


@pytest.mark.fault("Files that hold no picture, or half of one", "named; left out where `--fix` is asked for")
def test_files_without_a_picture_are_left_out_by_fix(tlearn: Tlearn, root: Path) -> None:
    broken = write_broken(root / "train" / "dog")
    answer, findings = doctor(tlearn)
    assert answer.code == 2
    assert "fit, or test, would stop: 4 files without a picture: truncated 1" in answer.err
    assert findings["unreadable"]["exclude"] == {f"train/dog/{name}": reason for name, reason in broken.items()}
    answer, _ = doctor(tlearn, "--fix")
    assert answer.code == 0, answer.err
    listed = json.loads((root / "tlearn-exclude.json").read_text())
    assert listed == {f"train/dog/{name}": reason for name, reason in broken.items()}
    assert all((root / name).exists() for name in listed)
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.fast_dev_run", "true")
    assert answer.code == 0, answer.err
    assert "train: 30 images" in answer.err
    assert "left out 4 of tlearn-exclude.json" in answer.err
    answer, findings = doctor(tlearn)
    assert findings == {}


def test_equal_pictures(tlearn: Tlearn, root: Path) -> None:
    shutil.copy(root / "train/cat/cat000.png", root / "train/cat/again.png")
    shutil.copy(root / "train/dog/dog000.png", root / "val/dog/leak.png")
    shutil.copy(root / "val/dog/dog500.png", root / "test/dog/leak.png")
    shutil.copy(root / "train/eel/eel000.png", root / "train/cat/eel.png")
    answer, findings = doctor(tlearn, "--fix")
    assert answer.code == 0, answer.err
    assert findings["duplicates"]["files"] == [["train/cat/again.png", "train/cat/cat000.png"]]
    assert findings["duplicates"]["exclude"] == {"train/cat/cat000.png": "the same picture as train/cat/again.png"}
    assert findings["duplicates_across_splits"]["exclude"] == {
        "train/dog/dog000.png": "the same picture as val/dog/leak.png",
        "val/dog/dog500.png": "the same picture as test/dog/leak.png",
    }
    assert sorted(findings["contrary_labels"]["exclude"]) == ["train/cat/eel.png", "train/eel/eel000.png"]
    assert set(findings["contrary_labels"]["exclude"].values()) == {"the same picture is labelled cat and eel"}
    assert len(json.loads((root / "tlearn-exclude.json").read_text())) == 5


def test_a_file_that_a_table_lists_twice_is_not_lost(tlearn: Tlearn, root: Path) -> None:
    names = [f"pictures/train/{c}/{c}{n:03d}.png" for c in ("cat", "dog") for n in range(10)]
    rows = [f"{name},{name.split('/')[2]}" for name in [*names, names[0]]]
    Path("t.csv").write_text("\n".join(["path,label", *rows]))
    answer = tlearn("doctor", "--data", "ImageTableDataModule", "--data.table", "t.csv", "--fix")
    assert answer.code == 0, answer.err
    (found,) = (f for f in json.loads(Path("doctor.json").read_text())["findings"] if f["kind"] == "duplicates")
    assert found["what"] == "1 picture more than once in a split: they count double"
    assert found["exclude"] == {}
    assert "nothing to leave out" in answer.out


def test_pictures_that_look_alike_are_told_and_kept(tlearn: Tlearn, root: Path) -> None:
    for number in range(5):
        scene(number).save(root / f"train/cat/scene{number}.png")
    scene(0, (240, 180)).save(root / "val/cat/larger.png")
    scene(1).save(root / "train/cat/resaved.jpg", quality=70)
    _, findings = doctor(tlearn, "--fix")
    across, within = findings["near_duplicates_across_splits"], findings["near_duplicates"]
    assert [sorted(group) for group in across["files"]] == [["train/cat/scene0.png", "val/cat/larger.png"]]
    assert [sorted(group) for group in within["files"]] == [["train/cat/resaved.jpg", "train/cat/scene1.png"]]
    assert not across["exclude"]
    assert not (root / "tlearn-exclude.json").exists()


def write_turned(root: Path, how: Image.Transpose | int) -> None:
    """Write copies of ten scenes into val: turned in their pixels, or by an EXIF note that undoes what pixels do."""
    undone = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    undone |= {2: Image.Transpose.FLIP_LEFT_RIGHT, 5: Image.Transpose.TRANSPOSE}
    for number in range(10):
        shown = scene(number)
        shown.save(root / f"train/cat/scene{number}.png")
        if isinstance(how, Image.Transpose):
            shown.transpose(how).save(root / f"val/cat/scene{number}.jpg", quality=90)
        else:
            note = Image.Exif()
            note[274] = how
            kind = "tif" if how == 8 else "jpg"
            shown.transpose(undone[how]).save(root / f"val/cat/scene{number}.{kind}", exif=note)


@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
def test_pictures_are_looked_at_as_the_network_sees_them(tlearn: Tlearn, root: Path, orientation: int) -> None:
    write_turned(root, orientation)
    _, findings = doctor(tlearn)
    groups = findings["near_duplicates_across_splits"]["files"]
    kind = "tif" if orientation == 8 else "jpg"
    assert sorted(sorted(group) for group in groups) == [
        [f"train/cat/scene{number}.png", f"val/cat/scene{number}.{kind}"] for number in range(10)
    ]
    facts = [inspect_file(root / name) for name in sorted(groups[0])]
    assert (facts[0].width, facts[0].height) == (facts[1].width, facts[1].height) == (120, 90)
    thumbs = [np.frombuffer(each.thumb, np.uint8).astype(int) for each in facts]
    assert np.abs(thumbs[0] - thumbs[1]).mean() < 5
    assert "turned_duplicates_across_splits" not in findings


@pytest.mark.parametrize("how", list(Image.Transpose))
def test_turned_and_mirrored_copies_are_found(tlearn: Tlearn, root: Path, how: Image.Transpose) -> None:
    write_turned(root, how)
    _, findings = doctor(tlearn, "--fix")
    found = findings["turned_duplicates_across_splits"]
    assert sorted(sorted(group) for group in found["files"]) == [
        [f"train/cat/scene{number}.png", f"val/cat/scene{number}.jpg"] for number in range(10)
    ]
    way = {
        Image.Transpose.FLIP_LEFT_RIGHT: "mirrored 10",
        Image.Transpose.FLIP_TOP_BOTTOM: "upside down and mirrored 10",
        Image.Transpose.ROTATE_180: "turned by 180 degrees 10",
        Image.Transpose.ROTATE_90: "turned by 90 degrees 10",
        Image.Transpose.ROTATE_270: "turned by 90 degrees 10",
        Image.Transpose.TRANSPOSE: "turned by 90 degrees and mirrored 10",
        Image.Transpose.TRANSVERSE: "turned by 270 degrees and mirrored 10",
    }[how]
    assert f"10 groups of pictures that look alike once one is turned or mirrored ({way})" in found["what"]
    assert found["severity"] == "warning"
    assert not found["exclude"]
    assert "near_duplicates_across_splits" not in findings


def test_symmetric_copies_are_told_once(tlearn: Tlearn, root: Path) -> None:
    for number in range(4):
        half = scene(number)
        whole = Image.new("RGB", (240, 90))
        whole.paste(half, (0, 0))
        whole.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (120, 0))
        whole.save(root / f"train/cat/{number}.png")
        whole.save(root / f"train/cat/{number}.bmp")
    _, findings = doctor(tlearn)
    assert len(findings["near_duplicates"]["files"]) == 4
    assert "turned_duplicates" not in findings


def save_by_class(root: Path, kind: str, chance: bool = False) -> None:
    """Save 30 pictures of each of two classes, which the way they are saved tells apart, or has nothing to do with."""
    shutil.rmtree(root)
    draws = np.random.default_rng(3)
    for place, name in enumerate(("cat", "dog")):
        (root / "train" / name).mkdir(parents=True)
        for number in range(30):
            shown, odd = scene(100 * place + number), bool(draws.integers(2) if chance else place)
            path = root / "train" / name / f"{number}"
            if kind == "size in pixels":
                shown.resize((90, 90) if odd else (100, 80 + number % 3)).save(path.with_suffix(".png"))
            elif kind == "format":
                shown.save(path.with_suffix(".bmp" if odd else ".png"))
            elif kind == "colour mode":
                shown.convert("P" if odd else "RGB").save(path.with_suffix(".png"))
            elif kind == "bits":
                deep = np.asarray(shown.convert("L")).astype(np.uint16)
                Image.fromarray(deep * 257 if odd else deep.astype(np.uint8)).save(path.with_suffix(".png"))
            else:
                shown.save(path.with_suffix(".jpg"), quality=75 if odd else 90)


@pytest.mark.parametrize("kind", ["size in pixels", "format", "colour mode", "bits", "JPEG quality"])
def test_files_that_tell_their_class_are_told(tlearn: Tlearn, root: Path, kind: str) -> None:
    save_by_class(root, kind)
    _, findings = doctor(tlearn)
    found = findings["encoding_tells_class"]
    named = "colour mode" if kind == "bits" else kind  # Pillow's mode I;16 says both
    assert found["what"].startswith(f"{named} of the files alone tells 100.0 % of the training pictures' classes")
    assert "(the largest class: 50.0 %): the network may learn the camera" in found["what"]
    assert found["severity"] == "warning"
    save_by_class(root, kind, chance=True)
    _, findings = doctor(tlearn)
    assert "encoding_tells_class" not in findings


def test_few_files_tell_nothing_of_their_class(tlearn: Tlearn, root: Path) -> None:
    for path in (root / "train/dog").iterdir():  # ten pictures of each class
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    _, findings = doctor(tlearn)
    assert "encoding_tells_class" not in findings


def test_classes_and_sizes(tlearn: Tlearn, root: Path) -> None:
    write_folder(root / "train", ("cat",), count=40, start=100)
    shutil.rmtree(root / "val" / "eel")
    for path in sorted((root / "train" / "dog").iterdir())[:6]:
        path.unlink()
    Image.new("RGB", (64, 64), (9, 9, 9)).save(root / "train/eel/flat.png")
    picture("eel", 8).save(root / "train/eel/odd.bmp")
    answer, findings = doctor(tlearn, "--model.image_size", "200", "--model.weights", "DEFAULT")
    assert answer.code == 0, answer.err  # no weights are fetched
    assert findings["tiny_classes"]["what"] == "fewer than 10 pictures to train on: dog 4"
    assert findings["imbalance"]["what"].startswith("cat has 50 pictures, dog 4: accuracy says little of dog")
    assert findings["absent_classes"]["what"] == "val has no pictures of: eel"
    assert findings["flat"]["files"] == [["train/eel/flat.png"]]
    assert findings["odd_format"]["files"] == [["train/eel/odd.bmp"]]
    assert (
        "pictures have less than half of the 200 px that the network sees (median short side 64 px)"
        in findings["small"]["what"]
    )


def test_a_class_of_validation_alone_is_a_finding(tlearn: Tlearn, root: Path) -> None:
    write_folder(root / "val", ("fox",), count=2)
    answer, findings = doctor(tlearn)
    assert answer.code == 2
    assert "a class that is not trained on: fox (2 images)" in findings["layout"]["what"]


def test_data_without_files_are_refused(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("doctor", "--config", small)
    assert answer.code == 2
    assert "doctor looks at picture files; DigitsDataModule has none of its own" in answer.err


def test_a_damaged_list_is_named(tlearn: Tlearn, root: Path) -> None:
    (root / "tlearn-exclude.json").write_text("{")
    answer = tlearn("fit", "--config", "folder.yaml")
    assert answer.code == 2
    assert f"{root / 'tlearn-exclude.json'} is not readable as JSON" in answer.err


def test_files_are_looked_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((root / "train" / "cat").iterdir())
    first = inspect_files(paths)
    looked: list[Path] = []

    def look(path: Path, reading: Reading) -> Inspection:
        looked.append(path)
        return inspect_file(path, reading)

    monkeypatch.setattr("tlearn.data.files.inspection.inspect_file", look)
    assert inspect_files(paths) == first
    assert looked == []
    picture("cat", 77).save(paths[3])
    assert inspect_files(paths)[3] != first[3]
    assert looked == [paths[3]]
    Path(".cache/tlearn/pictures.sqlite").write_text("damaged")
    assert [each.error for each in inspect_files(paths)] == [""] * len(paths)


def test_near_alike_finds_every_pair_within_the_bits() -> None:
    draws = np.random.default_rng(0)
    hashes = draws.integers(0, 2**63, 300, dtype=np.uint64)
    for place, bits in enumerate([0, 1, 3, 6, 7, 20]):  # copies with so many bits turned
        turned = draws.choice(64, bits, replace=False)
        hashes[100 + place] = hashes[place] ^ np.uint64(sum(1 << int(bit) for bit in turned))
    thumbs = np.full((300, 192), 100, np.uint8)
    assert near_alike(hashes, thumbs, bits=6) == [[0, 100], [1, 101], [2, 102], [3, 103]]
    thumbs[101] = 150  # other colours
    assert near_alike(hashes, thumbs, bits=6) == [[0, 100], [2, 102], [3, 103]]
    assert near_alike(np.zeros(2000, np.uint64), np.zeros((2000, 192), np.uint8)) == [list(range(2000))]
    assert same_content([b"a", b"", b"b", b"a", b""]) == [[0, 3]]


def test_fix_empties_no_class(tlearn: Tlearn, root: Path) -> None:
    for path in (root / "train/eel").iterdir():
        path.unlink()
    for number in range(3):
        shutil.copy(root / f"train/cat/cat{number:03d}.png", root / f"train/eel/{number}.png")
    answer, _ = doctor(tlearn)
    assert answer.code == 0, answer.err
    answer = tlearn("doctor", "--config", "folder.yaml", "--fix")
    assert answer.code == 2
    assert "--fix would leave no picture to train on of: eel; nothing was written" in answer.err
    assert not (root / "tlearn-exclude.json").exists()


def test_a_fault_that_passes_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((root / "train" / "cat").iterdir())

    def fail(path: Path) -> bytes:
        raise UnreadableImageError("Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("tlearn.data.files.reading.read_bytes", fail)
        assert {each.error for each in inspect_files(paths)} == {"Too many open files"}
    assert {each.error for each in inspect_files(paths)} == {""}


def test_a_store_that_cannot_be_used_costs_only_time(
    tlearn: Tlearn, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = sorted((root / "train" / "cat").iterdir())
    first = inspect_files(paths)
    store = Path(".cache/tlearn/pictures.sqlite")
    whole = store.read_bytes()
    store.write_bytes(whole[:4096] + b"x" * (len(whole) - 4096))  # its first page is good
    assert inspect_files(paths) == first
    assert "cannot be used" in caplog.text
    assert inspect_files(paths) == first
    no_folder = root / "train/cat/cat000.png"
    monkeypatch.setattr("tlearn.data.files.inspection_store.FOLDER", no_folder)
    assert inspect_files(paths) == first
