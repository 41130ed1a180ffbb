"""JPEG XL with the extra ``science``, compared with libjxl's own program where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture, write_folder
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.formats.jpeg_xl import jpeg_xl_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import UnreadableImageError

codecs: Any = pytest.importorskip("imagecodecs")


@pytest.mark.parametrize("is_boxed", [True, False])
@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (96, 64), (500, 333), (333, 500), (1, 700), (300, 400), (4100, 9)]
)
def test_the_header_says_the_size(width: int, height: int, is_boxed: bool) -> None:
    values = np.zeros((height, width, 3), np.uint8)
    data = codecs.jpegxl_encode(values, lossless=True, usecontainer=is_boxed)
    about = jpeg_xl_of(data[:4096])
    assert about is not None
    assert (about.width, about.height, about.bits, about.is_float) == (width, height, 8, False)


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_eight_bits_are_read_as_they_were_written(kind: str, tmp_path: Path) -> None:
    image = picture("cat", 1)
    if kind == "grey":
        image = image.convert("L")
    if kind == "rgba":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codecs.jpegxl_encode(np.asarray(image), lossless=True)
    image.save(tmp_path / "a.png")
    wanted = decode((tmp_path / "a.png").read_bytes(), Reading())
    assert (decode(bytes(data), Reading()) - wanted).abs().max() == 0
    (tmp_path / "a.jxl").write_bytes(data)
    about = inspect_file(tmp_path / "a.jxl")
    assert (about.error, about.format, about.width, about.height, about.bits) == ("", "JPEGXL", 64, 64, 8)
    assert about.channels == {"grey": 1, "rgb": 3, "rgba": 4}[kind]


def test_sixteen_bits_and_floats_keep_their_numbers() -> None:
    values = np.linspace(0, 60_000, 64 * 48).reshape(48, 64).astype(np.uint16)
    for given, kind in ((values, "uint16"), ((values / 65_535).astype(np.float32), "float32")):
        data = bytes(codecs.jpegxl_encode(given, lossless=True))
        wide = Reading((0, 65_535) if kind == "uint16" else (0, 1))
        expected = (values >> 8).astype(int)
        assert np.abs(decode(data, wide)[0].numpy().astype(int) - expected).max() <= 1


@pytest.mark.skipif(shutil.which("cjxl") is None, reason="libjxl's own programs are not installed")
@pytest.mark.parametrize("words", [["-d", "0"], ["-d", "1"], ["-d", "1", "--container=1"], ["-d", "1", "-p"]])
def test_libjxl_itself_reads_the_same(words: list[str], tmp_path: Path) -> None:
    picture("dog", 3, size_px=200).save(tmp_path / "a.png")
    subprocess.run(["cjxl", "a.png", "a.jxl", *words], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["djxl", "a.jxl", "b.png"], cwd=tmp_path, check=True, capture_output=True)
    found = decode((tmp_path / "a.jxl").read_bytes(), Reading()).int()
    wanted = decode((tmp_path / "b.png").read_bytes(), Reading()).int()
    assert int((found - wanted).abs().max()) <= 1


@pytest.mark.skipif(shutil.which("cjxl") is None, reason="libjxl's own programs are not installed")
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_jpeg_that_was_packed_stays_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.linear_gradient("L").resize((120, 80)).convert("RGB").save(tmp_path / "a.jpg", exif=exif.tobytes())
    subprocess.run(["cjxl", "a.jpg", "a.jxl"], cwd=tmp_path, check=True, capture_output=True)
    found, wanted = (decode((tmp_path / name).read_bytes(), Reading()).int() for name in ("a.jxl", "a.jpg"))
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().float().mean()) < 2


def test_a_huge_or_damaged_file_is_named() -> None:
    data = bytes(codecs.jpegxl_encode(np.zeros((300, 400, 3), np.uint8), lossless=True))
    with pytest.raises(UnreadableImageError, match=r"400 x 300 px = 0\.12 megapixels; the limit is 0\.1"):
        decode(data, Reading(max_megapixels=0.1))
    for part in (data[:4], data[: len(data) - 2]):
        with pytest.raises(UnreadableImageError, match=r"^(truncated|damaged \()"):
            decode(part, Reading())


def test_a_folder_of_them_trains(tlearn: Tlearn, tmp_path: Path) -> None:
    for path in write_folder(tmp_path / "pictures", count=6).glob("*/*.png"):
        path.with_suffix(".jxl").write_bytes(codecs.jpegxl_encode(np.asarray(Image.open(path)), lossless=True))
        path.unlink()
    Path("folder.yaml").write_text(CONFIG)
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1")
    assert answer.code == 0, answer.err
    assert "train: 18 images of 3 classes (cat 6, dog 6, eel 6)" in answer.err
