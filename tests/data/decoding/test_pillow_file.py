from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.jpeg_header import jpeg_frame
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image

LIMIT = "4,000 x 3,000 px = 12 megapixels; the limit is 3: data.init_args.max_megapixels"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 12 megapixels in many formats."""
    made = tmp_path_factory.mktemp("large")
    y, x = np.mgrid[:3000, :4000]
    image = Image.fromarray(np.stack([x // 16, y // 12, 0 * x + 40], axis=2).astype(np.uint8))
    image.save(made / "x.jpg")
    image.save(made / "progressive.jpg", progressive=True)
    image.save(made / "x.mpo", "MPO", save_all=True, append_images=[image])
    image.save(made / "x.png", compress_level=1)
    image.save(made / "x.bmp")
    image.save(made / "x.tif", compression="tiff_lzw")
    return made


@pytest.mark.parametrize("name", ["x.jpg", "x.mpo"])
def test_a_jpeg_is_limited_by_what_is_decoded(name: str, folder: Path) -> None:
    framing = Framing(64, "letterbox", reading=Reading(max_megapixels=3))
    pixels = read_image(folder / name, framing)  # at an eighth: 500 x 375 px
    assert (pixels[:, 32, 32].int() - torch.tensor([125, 125, 40])).abs().max() < 4
    large = Framing(600, "letterbox", reading=Reading(max_megapixels=2))
    with pytest.raises(UnreadableImageError, match=r"2,000 x 1,500 px = 3 megapixels; the limit is 2: data"):
        read_image(folder / name, large)
    assert inspect_file(folder / name, Reading(max_megapixels=3)).error == ""


@pytest.mark.parametrize("name", ["progressive.jpg", "x.png", "x.bmp"])
def test_the_limit_is_an_option(name: str, folder: Path) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        read_image(folder / name, Framing(64, reading=Reading(max_megapixels=3)))
    assert str(caught.value) == LIMIT
    assert inspect_file(folder / name, Reading(max_megapixels=3)).error == LIMIT
    assert read_image(folder / name, Framing(64)).shape == (3, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm"])
def test_pillows_own_limit_does_not_count(suffix: str, tmp_path: Path) -> None:
    Image.new("L", (20000, 9500), 77).save(tmp_path / f"x.{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read_image(tmp_path / f"x.{suffix}", Framing(8, reading=Reading(max_megapixels=200)))
        assert inspect_file(tmp_path / f"x.{suffix}", Reading(max_megapixels=200)).width == 20000
    assert pixels.unique().tolist() == [77]


def test_scans_of_a_jpeg_are_told_from_its_markers(folder: Path) -> None:
    frame = jpeg_frame(io.BytesIO((folder / "x.jpg").read_bytes()))
    assert frame is not None
    assert (frame.bits, frame.width, frame.height, frame.channels, frame.is_streamed) == (8, 4000, 3000, 3, True)
    progressive = jpeg_frame(io.BytesIO((folder / "progressive.jpg").read_bytes()))
    assert progressive is not None
    assert not progressive.is_streamed
    assert jpeg_frame(io.BytesIO(b"\xff\xd8\xff\xe0\x00\x10JFIF")) is None


@pytest.mark.parametrize(("place", "changed"), [(4, b"\0"), (4, b"\x11"), (5, b"\0\0")])
def test_a_jpeg_that_nobody_reads_is_named(place: int, changed: bytes, folder: Path) -> None:
    """A frame of 0 bits, of 17 bits, and without lines."""
    data = bytearray((folder / "x.jpg").read_bytes())
    start = data.find(b"\xff\xc0") + place
    data[start : start + len(changed)] = changed
    with pytest.raises(UnreadableImageError, match=r"bits, which is not read|no picture|damaged"):
        decode(bytes(data), Reading())
