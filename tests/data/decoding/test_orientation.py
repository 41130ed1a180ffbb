"""Every picture is upright once, and not twice: by its tag, at every door."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tlearn import load
from tlearn.data.decoding.decode import decode, pixels_of
from tlearn.data.decoding.reading_options import BEFORE, Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import Framing
from tlearn.data.images.item_pictures import ItemPictures

KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "TIFF": {},
    "MPO": {"quality": 100, "subsampling": 0},
}
LOSSY = 6  # levels of 255
ORIENTATION = 0x0112
# Pillow's transpositions that undo each orientation.
BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


def upright() -> Image.Image:
    """48 x 80 px, four colours, so that each way of turning and mirroring shows."""
    corners = np.array([[(250, 0, 0), (0, 250, 0)], [(0, 0, 250), (250, 250, 0)]], np.uint8)
    return Image.fromarray(corners.repeat(40, 0).repeat(24, 1))


def stored(kind: str, orientation: int) -> bytes:
    image = upright().transpose(Image.Transpose(BACK[orientation])) if orientation > 1 else upright()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    more = {"save_all": True, "append_images": [image]} if kind == "MPO" else {}
    image.save(file, kind, exif=exif, **KINDS[kind], **more)
    return file.getvalue()


def assert_upright(pixels: Any) -> None:
    assert tuple(pixels.shape) == (3, 80, 48)
    off = np.abs(pixels.numpy().astype(int) - np.asarray(upright()).astype(int).transpose(2, 0, 1))
    inside = np.ones((80, 48), bool)
    inside[32:48], inside[:, 16:32] = False, False  # a block of JPEG lies across the edges
    assert off[:, inside].max() <= LOSSY


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_once_at_every_door(orientation: int, kind: str, tmp_path: Path) -> None:
    data = stored(kind, orientation)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == kind
        assert_upright(pixels_of(image))
    assert_upright(decode(data, Reading()))
    assert_upright(decode(data, BEFORE))  # so were pictures of older checkpoints
    assert_upright(decode(data, Reading("percentile", page="first")))  # by numbers, not by Pillow's colours
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    found = inspect_file(path)
    assert (found.error, found.width, found.height) == ("", 48, 80)
    straight = tmp_path / "straight.bin"
    straight.write_bytes(stored(kind, 1))
    assert np.abs(thumb(found.thumb) - thumb(inspect_file(straight).thumb)).max() <= LOSSY


def thumb(pixels: bytes) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).astype(int)


@pytest.mark.parametrize("orientation", [6, 3, 8])
def test_a_photograph_at_a_fraction_is_turned_too(orientation: int) -> None:
    large = upright().resize((48 * 16, 80 * 16), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    large.transpose(Image.Transpose(BACK[orientation])).save(file, "JPEG", exif=exif, quality=95)
    pixels = decode(file.getvalue(), Reading(), least_px=48)
    assert pixels.shape == (3, 160, 96)
    assert np.abs(pixels[:, ::2, ::2].numpy().astype(int) - np.asarray(upright()).transpose(2, 0, 1)).mean() < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF", "TIFF"])
def test_items_and_images_are_turned_once(kind: str, finished_run: Path, tmp_path: Path) -> None:
    with Image.open(io.BytesIO(stored(kind, 6))) as image, Image.open(io.BytesIO(stored(kind, 1))) as straight:
        square = Framing(32)
        turned = ItemPictures([(image, 0)], "x").read(0, square)
        assert (turned.int() - ItemPictures([(straight, 0)], "x").read(0, square).int()).abs().max() <= LOSSY
        shutil.copytree(finished_run / "runs", tmp_path / "runs")
        answers = load(tmp_path / "runs/folder/version_0").predict([image, straight, ImageOps.exif_transpose(image)])
        assert answers[0].probabilities == pytest.approx(answers[1].probabilities, abs=0.02)
        assert answers[0].probabilities == answers[2].probabilities  # turned before: the tag is gone


def test_turns_that_an_avif_file_itself_holds_are_made_once() -> None:
    """AVIF writes an EXIF orientation as ``irot`` and ``imir``, which decoders apply; Pillow then drops the tag."""
    data = stored("AVIF", 6)
    assert b"irot" in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(ORIENTATION, 1) in (1, 6)
    assert_upright(decode(data, Reading()))
