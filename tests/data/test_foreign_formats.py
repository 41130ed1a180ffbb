"""Which files are pictures, by name and by content, at every door."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import (
    CONFIG,
    FOREIGN,
    HEIC,
    JPEG_XL,
    picture,
    without_extras,
    write_folder,
    write_splits,
)
from tests.helpers.time_limit import at_most
from tlearn import TlearnError
from tlearn.data.decoding.foreign_formats import EXTENSIONS, unread_by_name
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image

# Pillow reads these, and nobody's photographs are in them; see the comment in foreign_formats.
NO_PICTURES = {
    *(".eps", ".ps", ".wmf", ".emf", ".mpg", ".mpeg", ".fit", ".fits", ".grib", ".bufr", ".hdf", ".h5", ".pfm", ".iim")
}


@pytest.fixture(autouse=True)
def _without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    without_extras(monkeypatch)


def test_every_ending_that_pillow_reads_is_a_pictures_name() -> None:
    Image.init()
    read = {ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN}
    assert read - NO_PICTURES <= set(EXTENSIONS)
    assert set(EXTENSIONS) - read <= {".mpo"}  # Pillow knows it by its content, and registers no reader for the name
    assert not [ending for ending in EXTENSIONS if unread_by_name(f"a{ending}")]


@pytest.mark.parametrize(("kind", "reason"), [(kind, reason) for kind, (_, reason) in FOREIGN.items()])
def test_a_file_is_named_for_what_it_is(kind: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(FOREIGN[kind][0])
    with pytest.raises(UnreadableImageError, match=re.escape(reason.split("(")[0])):
        read_image(path, Framing(32))


@pytest.mark.parametrize(
    ("codec", "options", "reason"),
    [
        ("jpegls", {}, "JPEG-LS, which is not read; convert it to PNG"),
        ("jpegxr", {}, "JPEG XR, which is not read; convert it to JPEG or PNG"),
        ("jpegxl", {"usecontainer": True}, JPEG_XL),
        ("jpegxl", {"usecontainer": False}, JPEG_XL),
    ],
)
def test_what_an_encoder_writes_is_named_too(
    codec: str, options: dict[str, Any], reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    codecs = pytest.importorskip("imagecodecs")
    path = tmp_path / "a.jpg"
    path.write_bytes(getattr(codecs, f"{codec}_encode")(np.asarray(picture("cat", 1)), **options))
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path, Framing(32))
    assert str(caught.value) == inspect_file(path).error == reason
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["dng", "nef", "pef"])
def test_raw_data_of_cameras_are_known_by_their_tags(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tifffile = pytest.importorskip("tifffile")
    sensor = np.zeros((64, 64), np.uint16)
    pattern = [(33421, "H", 2, (2, 2)), (33422, "B", 4, bytes([0, 1, 1, 2]))]
    whole = io.BytesIO()
    with tifffile.TiffWriter(whole) as writer:
        if kind == "pef":
            writer.write(sensor, photometric="cfa", extratags=pattern)
        else:
            version = [(50706, "B", 4, bytes([1, 4, 0, 0]))] if kind == "dng" else []
            preview = np.asarray(picture("cat", 1))
            writer.write(preview, photometric="rgb", subfiletype=1, subifds=kind == "nef", extratags=version)
            writer.write(sensor, photometric="cfa", extratags=pattern)
    path = tmp_path / "a.tif"
    path.write_bytes(whole.getvalue())
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path, Framing(32))
    assert str(caught.value) == "a camera's raw data, which are not read; develop them to JPEG or PNG"
    assert inspect_file(path).error == str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_reduced_picture_is_no_camera(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8), photometric="rgb", subfiletype=1)
        writer.write(np.full((64, 64, 3), 200, np.uint8), photometric="rgb")
    assert not inspect_file(tmp_path / "a.tif").error


def test_a_damaged_size_costs_no_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xff\xff\xf0ftypxxxx" + bytes(4) + b"xxxx" * 100 + b"heic")
    with at_most(seconds=2), pytest.raises(UnreadableImageError, match="a video, which is not read"):
        read_image(path, Framing(32))


def write_phone(root: Path) -> Path:
    """Write what a phone and a camera leave: HEIC for the most part, stereo pictures, raw data and a list."""
    write_splits(root, train=10)
    for number in range(4):
        path = root / f"train/dog/dog00{number}.png"
        path.with_suffix(".HEIC").write_bytes(FOREIGN["heic"][0])
        path.unlink()
    (root / "train/eel/IMG_1.NEF").write_bytes(b"II*\x00")
    (root / "train/notes.txt").write_text("x")
    both = [picture("cat", 300 + number) for number in range(2)]
    both[0].save(root / "train/cat/stereo.mpo", save_all=True, append_images=both[1:])
    return root


def test_skipped_files_are_findings(tlearn: Tlearn, tmp_path: Path) -> None:
    write_phone(tmp_path / "pictures")
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("doctor", "--config", "folder.yaml")
    assert answer.code == 0, answer.err
    content = json.loads(Path("doctor.json").read_text())
    assert content["splits"]["train"]["formats"] == {"PNG": 26, "MPO": 1}
    (found,) = (each for each in content["findings"] if each["kind"] == "skipped_files")
    assert found["severity"] == "warning"
    assert found["what"] == (
        f"5 train pictures are not read: .heic 4: {HEIC}; .nef 1: a camera's raw data, which are not read; develop "
        "them to JPEG or PNG; "
        "train: 1 file is skipped, not a picture by its name: .txt 1; in no class 1, dog 4, eel 1"
    )
    assert len(found["files"]) == 6
    shutil.rmtree("pictures/val")
    (tmp_path / "pictures/val/cat").mkdir(parents=True)
    (tmp_path / "pictures/val/cat/a.heic").write_bytes(FOREIGN["heic"][0])
    for verb in ("doctor", "fit"):
        answer = tlearn(verb, "--config", "folder.yaml")
        assert answer.code == 2
        assert f"no picture in a class folder of {tmp_path}/pictures/val (1 picture is not read: .heic 1: {HEIC})" in (
            answer.err
        )


def test_skipped_files_are_counted_by_class_in_a_plain_folder(tlearn: Tlearn, tmp_path: Path) -> None:
    write_phone(tmp_path / "pictures")
    (tmp_path / "pictures/train").rename(tmp_path / "my_pictures")
    assert tlearn("doctor", "my_pictures").code == 0
    findings = json.loads(Path("doctor.json").read_text())["findings"]
    (what,) = (each["what"] for each in findings if each["kind"] == "skipped_files")
    assert what.endswith("develop them to JPEG or PNG; in dog 4, eel 1")


def test_fit_names_what_it_skips(tlearn: Tlearn, tmp_path: Path) -> None:
    write_phone(tmp_path / "pictures")
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.fast_dev_run", "true")
    assert answer.code == 0, answer.err
    told = f"5 train pictures are not read: .heic 4: {HEIC}; .nef 1: a camera's raw data"
    assert any(line.startswith(told) for line in answer.err.splitlines())
    assert "skipped 1 file without a picture's name: .txt 1" in answer.err
    (tmp_path / "pictures/train/eel/eel000.png").write_bytes(FOREIGN["heic"][0])
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.fast_dev_run", "true")
    assert answer.code == 2
    assert f"eel000.png ({HEIC})" in answer.err


def test_a_class_of_unread_files_alone_is_told_why(tlearn: Tlearn, tmp_path: Path) -> None:
    root = write_phone(tmp_path / "pictures")
    for path in root.glob("train/dog/*.png"):
        path.rename(path.with_suffix(".heic"))
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "folder.yaml")
    assert answer.code == 2
    assert "no training images for: dog in " in answer.err
    assert f"(11 train pictures are not read: .heic 10: {HEIC}; .nef 1: a camera's raw data" in answer.err
    assert "add some" not in answer.err


def test_a_table_and_a_predictor_name_them_too(tlearn: Tlearn, tmp_path: Path) -> None:
    write_folder(tmp_path / "all", ("cat", "dog"), count=4)
    raw = tmp_path / "all/cat/a.nef"
    picture("cat", 1).save(raw, "TIFF")
    (tmp_path / "all/dog/a.heic").write_bytes(FOREIGN["heic"][0])
    rows = [f"all/{name}/{name}00{n}.png,{name}" for name in ("cat", "dog") for n in range(4)]
    Path("t.csv").write_text("\n".join(["path,label", *rows, "all/cat/a.nef,cat", "all/dog/a.heic,dog"]))
    Path("folder.yaml").write_text(CONFIG.partition("data:")[0])
    words = ["--config", "folder.yaml", "--data", "ImageTableDataModule", "--data.table", "t.csv"]
    answer = tlearn("doctor", *words)
    assert answer.code == 2
    assert f"1 file not read as things are: {HEIC}" in answer.err
    assert "1 file without a picture: a camera's raw data" in answer.err
    answer = tlearn("fit", *words, "--data.val_fraction", "0.25")
    assert answer.code == 2
    assert f"a.heic ({HEIC})" in answer.err
    assert "a.nef (a camera's raw data, which are not read" in answer.err
    assert "doctor --fix" not in answer.err  # it would not list a good file
    answer = tlearn("fit", *words, "--data.val_fraction", "0.25", "--data.on_error", "skip")
    assert answer.code == 0, answer.err
    from tlearn import load

    with pytest.raises(TlearnError, match=rf"a\.heic: {re.escape(HEIC)}$"):
        load("runs/folder/version_0").predict(["all/dog/a.heic"])


def test_the_doctor_counts_pictures_and_no_values(tlearn: Tlearn, tmp_path: Path) -> None:
    write_folder(tmp_path / "all", ("cat",), count=9)
    rows = [f"all/cat/cat00{n}.png,{n / 2},{'val' if n == 8 else 'train'}" for n in range(9)]
    Path("t.csv").write_text("\n".join(["path,label,split", *rows]))
    Path("folder.yaml").write_text(CONFIG.partition("data:")[0])
    words = ["--data", "ImageTableDataModule", "--data.table", "t.csv", "--data.task", "regression"]
    answer = tlearn("doctor", "--config", "folder.yaml", *words)
    assert answer.code == 0, answer.err
    assert "train: 8 pictures; PNG; colour; short side 64 px\n" in answer.out
    assert "val: 1 picture; PNG; colour; short side 64 px\n" in answer.out
