"""HEIC with the extra: the right pixels at every door, compared with libheif's own program where it is installed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, HEIC, picture, rgb_profile, without_extras, write_folder
from tlearn import load
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import UnreadableImageError, read_image
from tlearn.data.shards.datamodule import StreamingDataModule
from tlearn.data.shards.pictures import ShardedImages

heif = pytest.importorskip("pillow_heif")
ORIENTATION = 0x0112


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that looks different in all eight orientations."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.where(x > 2 * y, 220, 30)], axis=2).astype(np.uint8))


def as_heic(image: Image.Image, **options: object) -> bytes:
    whole = io.BytesIO()
    heif.from_pillow(image).save(whole, quality=95, chroma=444, **options)
    return whole.getvalue()


def turned(orientation: int, container: str) -> bytes:
    """A file with an EXIF orientation; pillow-heif writes HEIC as iPhones do, with `irot` and `imir` beside it."""
    exif, whole, image = Image.Exif(), io.BytesIO(), scene()
    exif[ORIENTATION] = orientation
    if container == "HEIF":
        file = heif.from_pillow(image)
        file.info["exif"] = exif.tobytes()
        file.save(whole, quality=95, chroma=444)
    else:
        image.save(whole, container, exif=exif.tobytes())
    return whole.getvalue()


def pixels(data: bytes, reading: Reading | None = None) -> NDArray[np.int64]:
    return decode(data, reading or Reading()).permute(1, 2, 0).numpy().astype(np.int64)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    data = turned(orientation, "HEIF")
    found, wanted = pixels(data), pixels(turned(orientation, "PNG"))
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 2
    (tmp_path / "a.heic").write_bytes(data)
    about = inspect_file(tmp_path / "a.heic")
    assert (about.error, about.format, (about.height, about.width)) == ("", "HEIF", wanted.shape[:2])


def ten_bits() -> bytes:
    deep, whole = np.asarray(scene()).astype(np.uint16) * 257, io.BytesIO()
    heif.from_bytes("RGB;16", (96, 64), deep.tobytes()).save(whole, quality=-1, chroma=444)
    return whole.getvalue()


def transparent() -> bytes:
    image = scene()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return as_heic(image)


@pytest.mark.skipif(shutil.which("heif-convert") is None, reason="libheif's own program is not installed")
@pytest.mark.parametrize("kind", ["turned", "grey", "transparent", "ten bits"])
def test_libheif_itself_reads_the_same(kind: str, tmp_path: Path) -> None:
    data = {
        "turned": lambda: turned(6, "HEIF"),
        "grey": lambda: as_heic(scene().convert("L")),
        "transparent": transparent,
        "ten bits": ten_bits,
    }[kind]()
    (tmp_path / "a.heic").write_bytes(data)
    subprocess.run(["heif-convert", "a.heic", "a.png"], cwd=tmp_path, check=True, capture_output=True)
    with Image.open(tmp_path / "a.png") as image:
        clean = io.BytesIO()  # its PNG is upright and repeats the EXIF orientation
        Image.fromarray(np.asarray(image)).save(clean, "PNG")
    # libheif 1.15 and 1.23 round from YCbCr to RGB differently.
    assert np.abs(pixels(data) - pixels(clean.getvalue())).max() <= 1


def test_the_main_picture_of_several_is_read_and_no_preview(tmp_path: Path) -> None:
    several = heif.from_pillow(ImageOps.invert(scene()))
    several.add_from_pillow(scene(640, 480))
    several.save(tmp_path / "a.heic", primary_index=1, quality=95, chroma=444, thumbnails=[64, 256])
    data = (tmp_path / "a.heic").read_bytes()
    for reading in (Reading(), Reading(page="middle"), Reading(page=1)):
        assert np.abs(pixels(data, reading) - np.asarray(scene(640, 480))).mean() < 2
    assert decode(data, Reading(), least_px=32).shape == (3, 480, 640)
    with pytest.raises(UnreadableImageError, match=r"no plane 2 of data\.init_args\.page, it has 1"):
        decode(data, Reading(page=2))


def test_colours_of_a_phone_become_srgb(tmp_path: Path) -> None:
    wide = scene()
    wide.info["icc_profile"] = rgb_profile("Display P3")
    whole = io.BytesIO()
    wide.save(whole, "PNG", icc_profile=wide.info["icc_profile"])
    data = as_heic(wide)
    assert np.abs(pixels(data) - pixels(whole.getvalue())).mean() < 2
    assert np.abs(pixels(data) - np.asarray(scene())).mean() > 5
    (tmp_path / "a.heic").write_bytes(data)
    assert inspect_file(tmp_path / "a.heic").profile == "Display P3"


def test_ten_bits_become_their_upper_eight() -> None:
    assert np.abs(pixels(ten_bits()) - np.asarray(scene())).max() <= 1


def test_damaged_and_huge_files_are_named() -> None:
    data = as_heic(scene())
    for part in (data[: len(data) // 2], data[:300]):
        with pytest.raises(UnreadableImageError, match=r"^(truncated|damaged \()"):
            decode(part, Reading())
    with pytest.raises(UnreadableImageError, match=r"the limit is 0\.001: data\.init_args\.max_megapixels"):
        decode(data, Reading(max_megapixels=0.001))


def test_pillow_itself_is_left_as_it_was() -> None:
    decode(as_heic(scene()), Reading())
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(as_heic(scene())))


def phone(root: Path) -> Path:
    """Write ``root/<class>/`` with ten PNG files and two HEIC files in each class."""
    write_folder(root, count=10)
    for name in ("cat", "dog", "eel"):
        for number in range(2):
            data = as_heic(picture(name, 50 + number))
            (root / name / f"IMG_{number}.HEIC").write_bytes(data)
    return root


def test_photographs_of_a_phone_train_and_are_predicted_for(tlearn: Tlearn, tmp_path: Path) -> None:
    phone(tmp_path / "pictures")
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("doctor", "--config", "folder.yaml")
    assert answer.code == 0, answer.err
    assert json.loads(Path("doctor.json").read_text())["splits"]["train"]["formats"] == {"HEIF": 6, "PNG": 30}
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "6")
    assert answer.code == 0, answer.err
    assert "train: 36 images of 3 classes (cat 12, dog 12, eel 12)" in answer.err
    assert "not read" not in answer.err
    photo = Path("IMG_9.heic")
    photo.write_bytes(as_heic(picture("eel", 77)))
    run = "runs/folder/version_0"
    answer = tlearn("predict", "--ckpt_path", run, "--data", str(photo), "--out", "p.csv")
    assert answer.code == 0, answer.err
    (row,) = csv.DictReader(Path("p.csv").read_text().splitlines())
    assert (row["class"], row["error"]) == ("eel", "")
    assert load(run).predict([photo])[0].class_name == "eel"


def test_shards_hold_them_as_they_are(tlearn: Tlearn, tmp_path: Path) -> None:
    pytest.importorskip("litdata")
    root = phone(tmp_path / "pictures")
    answer = tlearn("optimize", "pictures", "packed")
    assert answer.code == 0, answer.err
    packed = StreamingDataModule("packed", size_px=32)
    packed.setup("fit")
    images = packed.dataset("train")
    assert isinstance(images, ShardedImages)
    photos = [row for row in images.indices.tolist() if images.pictures.name(row).endswith(".HEIC")]
    assert len(photos) >= 3
    for row in photos:
        wanted = read_image(root / images.pictures.name(row), packed.framing)
        assert torch.equal(images.pictures.read(row, packed.framing), wanted)


def test_without_the_extra_each_verb_says_how_many_and_what_to_install(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_extras(monkeypatch)
    root = phone(tmp_path / "pictures")
    Path("folder.yaml").write_text(CONFIG)
    told = f"6 train pictures are not read: .heic 6: {HEIC}"
    answer = tlearn("doctor", "--config", "folder.yaml")
    assert any(each["what"].startswith(told) for each in json.loads(Path("doctor.json").read_text())["findings"])
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert told in answer.err.splitlines()
    for path in root.glob("*/*.png"):
        path.unlink()
    for verb in ("doctor", "fit"):
        answer = tlearn(verb, "--config", "folder.yaml")
        assert answer.code == 2
        last = answer.err.splitlines()[-1]
        assert f"no picture in a class folder of {root} (6 pictures are not read: .heic 6: {HEIC})" in last
        assert "doctor" not in last  # which is what may have just been asked
        assert "add some" not in last
