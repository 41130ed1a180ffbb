"""What an export says of reading a picture, in words and in numbers, gives the library's pixels without the library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from tests.deploy.torch_free import pixels_of, square_of
from tests.helpers.fake_pictures import grey_profile, ink_profile, rgb_profile
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import BEFORE, Reading
from tlearn.data.files.reading import Framing, read_image
from tlearn.data.images.in_memory import InMemoryImages
from tlearn.deploy.check import Examples
from tlearn.deploy.export import export_network
from tlearn.deploy.reading_rule import how_to_read
from tlearn.training.module import TransferModule

pytestmark = pytest.mark.xdist_group("export")

NARROW = Reading(ranges={"uint16": (0, 4095), "int16": (-1000, 2000), "float32": (0.25, 0.75)})


def ramp(most: int, height: int = 90, width: int = 70) -> NDArray[np.uint16]:
    """Smooth, so that two ways to resize differ by a level at most."""
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    return ((0.6 * down + 0.4 * across) * most).astype(np.uint16)


def grey_png(path: Path) -> None:
    Image.fromarray(ramp(65535)).save(path.with_suffix(".png"))


def twelve_bits_png(path: Path) -> None:
    Image.fromarray(ramp(4095)).save(path.with_suffix(".png"))


def grey_tiff(path: Path) -> None:
    Image.fromarray(ramp(4095)).save(path.with_suffix(".tif"))


def white_is_zero(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), ramp(65535), photometric="miniswhite")


def white_is_zero_in_twelve_bits(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), ramp(4095), photometric="miniswhite", metadata=None)


def not_measured(path: Path) -> None:
    values = ramp(4095)
    values[:12] = 60000
    file = path.with_suffix(".tif")
    tifffile.imwrite(file, values, metadata=None, extratags=[(42113, "s", 0, "60000", True)])


def signed(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), ramp(3000).astype(np.int16) - 1000)


def floats(path: Path) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), (ramp(1000) / 1000).astype(np.float32))


def stack(path: Path) -> None:
    planes = np.stack([ramp(4095) // 4, ramp(4095), ramp(4095) // 2])
    tifffile.imwrite(path.with_suffix(".tif"), planes, photometric="minisblack", metadata=None)


def thumbnail_first(path: Path) -> None:
    with tifffile.TiffWriter(path.with_suffix(".tif")) as file:
        file.write(np.zeros((9, 7), np.uint16), subfiletype=1, metadata=None)
        file.write(ramp(4095), metadata=None)


def rgba_png(path: Path) -> None:
    colours = np.stack([ramp(255), 255 - ramp(255), ramp(120), ramp(255)], axis=2)
    Image.fromarray(colours.astype(np.uint8)).save(path.with_suffix(".png"))


def five_deep_bands(path: Path) -> None:
    bands = np.stack([ramp(4095) // part for part in (9, 1, 2, 3, 4)], axis=2)
    tifffile.imwrite(path.with_suffix(".tif"), bands, photometric="minisblack", planarconfig="contig", metadata=None)


def colour_tiff(path: Path) -> None:
    colours = np.stack([ramp(4095), 4095 - ramp(4095), ramp(2000)], axis=2)
    tifffile.imwrite(path.with_suffix(".tif"), colours, photometric="rgb", metadata=None)


def palette_png(path: Path) -> None:
    Image.fromarray(ramp(200).astype(np.uint8)).convert("P").save(path.with_suffix(".png"), transparency=7)


def grey_8_bits_png(path: Path) -> None:
    Image.fromarray(ramp(255).astype(np.uint8)).save(path.with_suffix(".png"))


def five_bands(path: Path) -> None:
    bands = np.stack([ramp(255) // part for part in (1, 2, 3, 4, 5)], axis=2).astype(np.uint8)
    tifffile.imwrite(path.with_suffix(".tif"), bands, photometric="minisblack", planarconfig="contig", metadata=None)


FILES: list[tuple[Callable[[Path], None], Reading]] = [
    (grey_png, Reading(ranges={"uint16": (0, 65535)})),
    (grey_png, BEFORE),
    (twelve_bits_png, NARROW),
    (twelve_bits_png, Reading("type")),
    (twelve_bits_png, Reading((1000, 3000))),
    (twelve_bits_png, Reading("percentile")),
    (grey_tiff, NARROW),
    (white_is_zero, Reading("type")),
    (white_is_zero_in_twelve_bits, NARROW),
    (not_measured, NARROW),
    (signed, NARROW),
    (signed, Reading((-900, 1900))),
    (floats, NARROW),
    (stack, Reading(ranges=NARROW.ranges, page="middle")),
    (stack, Reading(ranges=NARROW.ranges, page="max")),
    (stack, Reading(ranges=NARROW.ranges, page="mean")),
    (stack, Reading(ranges=NARROW.ranges, page=3)),
    (thumbnail_first, NARROW),
    (rgba_png, NARROW),
    (rgba_png, Reading(channels=(3, 2, 1))),
    (five_deep_bands, Reading(ranges=NARROW.ranges, channels=(3, 2, 1))),
    (five_deep_bands, Reading(ranges=NARROW.ranges, channels=(5,))),
    (five_bands, Reading(channels=(3, 2, 1))),
    (colour_tiff, NARROW),
    (palette_png, NARROW),
    (grey_8_bits_png, Reading(num_channels=1)),
    (grey_png, Reading(ranges={"uint16": (0, 65535)}, num_channels=1)),
    (five_bands, Reading(num_channels=5)),
    (five_bands, Reading(channels=(5, 2), num_channels=2)),
]


@pytest.mark.parametrize(("write", "reading"), FILES)
def test_a_file_read_by_the_rule_has_the_librarys_pixels(
    write: Callable[[Path], None], reading: Reading, tmp_path: Path
) -> None:
    write(tmp_path / "file")
    (path,) = tmp_path.iterdir()
    framing = Framing(32, "center", 0.875, reading)
    library = read_image(path, framing).permute(1, 2, 0).numpy().astype(int)
    numbers = json.loads(json.dumps(asdict(reading)))
    square = {"crop_mode": "center", "crop_pct": 0.875, "how": how_to_read(framing)}
    script = square_of(pixels_of(str(path), numbers), {"image_size_px": 32, "reading": square})
    assert np.ptp(library) > 8  # not one grey level
    assert np.abs(library - script).max() <= 1


def phone_jpeg(path: Path) -> None:
    photograph().save(path / "x.jpg", icc_profile=rgb_profile("Display P3"), quality=95)


def phone_rgba(path: Path) -> None:
    half = photograph().convert("RGBA")
    half.putalpha(100)
    half.save(path / "x.png", icc_profile=rgb_profile("Display P3"))


def inks_jpeg(path: Path) -> None:
    photograph().convert("CMYK").save(path / "x.jpg", icc_profile=ink_profile(), quality=95)


def grey_dots(path: Path) -> None:
    photograph().convert("L").save(path / "x.png", icc_profile=grey_profile(1.8))


def linear_png(path: Path) -> None:
    more = PngImagePlugin.PngInfo()
    more.add(b"gAMA", (100_000).to_bytes(4, "big"))
    photograph().save(path / "x.png", pnginfo=more)


def photograph() -> Image.Image:
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([4 * x, 5 * y, 255 - 4 * x], axis=2).astype(np.uint8))


@pytest.mark.parametrize("write", [phone_jpeg, phone_rgba, inks_jpeg, grey_dots, linear_png])
def test_colours_by_the_rule_are_the_librarys(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    (path,) = tmp_path.iterdir()
    found = []
    for reading in (Reading(ranges={}), Reading(ranges={}, converts_colour=False)):
        library = decode(path.read_bytes(), reading).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(library - pixels_of(str(path), json.loads(json.dumps(asdict(reading))))).max() <= 1
        found.append(library)
    assert np.abs(found[0] - found[1]).mean() > 3


def test_bands_of_a_tiff_by_the_rule(tmp_path: Path) -> None:
    bands = np.stack([ramp(4095) // part for part in (9, 1, 2, 3, 4)], axis=2)
    tifffile.imwrite(tmp_path / "bands.tif", bands, photometric="minisblack", planarconfig="contig", metadata=None)
    reading = Reading(ranges=NARROW.ranges, channels=(3, 2, 1))
    pixels = pixels_of(str(tmp_path / "bands.tif"), json.loads(json.dumps(asdict(reading))))
    assert np.array_equal(pixels, bands[:, :, [2, 1, 0]] >> 4)
    with pytest.raises(AssertionError, match="which of its 5 channels"):
        pixels_of(str(tmp_path / "bands.tif"), json.loads(json.dumps(asdict(NARROW))))


def test_answers_without_torch_are_the_librarys(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = TransferModule(3, class_names=["a", "b", "c"], weights=None, tap="layer1").eval()
    module.head.get_parameter("weight").data *= 20
    framing = Framing(32, "center", 0.875, NARROW)
    module.pictures = asdict(framing)
    images = InMemoryImages(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4), torch.arange(4))
    both = Examples(images, images, "images", labelled=False)
    export_network(module, tmp_path / "model.onnx", both, tell=lambda line: None)
    (tmp_path / "pictures").mkdir()
    for write in (twelve_bits_png, grey_tiff, signed, floats, rgba_png):
        write(tmp_path / "pictures" / write.__name__)
    paths = sorted((tmp_path / "pictures").iterdir())
    script = [sys.executable, str(Path(__file__).with_name("torch_free.py")), str(tmp_path / "model.onnx")]
    done = subprocess.run([*script, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == list(map(str, paths))
    with torch.no_grad():
        answers = module.answer(torch.stack([read_image(path, framing) for path in paths]))
    assert answers.max(dim=1).values.min() < 0.7 < answers.max(dim=1).values.max()
    for (_, name, probability), answer in zip(rows, answers, strict=True):
        assert name == module.class_names[int(answer.argmax())]
        assert float(probability) == pytest.approx(float(answer.max()), abs=0.02)


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (
            NARROW,
            ["8 bits: Pillow: ImageOps.exif_transpose, transparent", "[0, 4095] of uint16, [-1000, 2000] of int16"],
        ),
        (BEFORE, ["with the range of all that the type can hold", "of a stack the first plane"]),
        (Reading((0.5, 99), page="middle"), ["then as more bits", "range [0.5, 99]", "plane (count + 1) // 2"]),
        (Reading("percentile", page=4), ["to the 99.9 percentile of each picture", "of a stack plane 4"]),
        (Reading(), ["colours become sRGB: by the ICC profile in the file"]),
        (Reading(channels=(3, "red", 1)), ["channels: bands 3, red, 1"]),
        (Reading(num_channels=5), ["over white, the channels of the file; more bits", "; 5 channels; "]),
    ],
)
def test_the_rule_in_words(reading: Reading, words: list[str]) -> None:
    said = how_to_read(Framing(32, "center", 0.875, reading))
    assert [each for each in words if each not in said] == []
