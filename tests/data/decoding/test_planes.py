"""Planes of stacks and frames of animations: each value is known."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Page, Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import UnreadableImageError

HEIGHT, WIDTH = 24, 36
PAGES: list[Page] = ["first", "middle", "max", "mean", 1, 4, 5]


def stack(planes: int, channels: int = 1) -> NDArray[np.uint16]:
    """(Z, C, H, W) of numbers that tell planes and channels apart."""
    return np.random.default_rng(planes).integers(0, 2**12, (planes, channels, HEIGHT, WIDTH)).astype(np.uint16)


def plane(values: NDArray[Any], page: Page) -> NDArray[Any]:
    """(C, H, W) of the plane."""
    if page == "max":
        return np.asarray(values.max(0))
    if page == "mean":
        return np.asarray(np.rint(values.mean(0)).astype(np.uint16))
    if isinstance(page, int):
        return np.asarray(values[page - 1])
    return np.asarray(values[(len(values) - 1) // 2 if page == "middle" else 0])


def check(data: bytes, values: NDArray[np.uint16], page: Page) -> None:
    count = values.shape[1]
    pixels = decode(data, Reading((0, 4095), num_channels=count if count > 1 else 3, page=page)).numpy()
    assert (pixels == plane(values, page) >> 4).all(), page


@pytest.mark.parametrize("page", PAGES)
def test_planes_of_a_plain_stack(page: Page) -> None:
    values = stack(5)
    for compression in (None, "zlib"):
        whole = io.BytesIO()
        tifffile.imwrite(whole, values[:, 0], compression=compression, metadata={"axes": "ZYX"})
        check(whole.getvalue(), values, page)
        small = io.BytesIO()
        tifffile.imwrite(small, (values[:, 0] >> 4).astype(np.uint8), compression=compression)  # Pillow reads it
        pixels = decode(small.getvalue(), Reading(page=page)).numpy()
        assert (pixels == plane(values >> 4, page)).all()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["ome", "ome pages", "imagej", "imagej one", "ome rgb"])
def test_channels_and_depths_of_microscopes(kind: str, page: Page) -> None:
    values, whole = stack(5, 1 if kind == "imagej one" else 3), io.BytesIO()
    if kind == "ome":
        names = {"Name": ["DAPI", "GFP", "Cy5"]}
        tifffile.imwrite(whole, values, ome=True, metadata={"axes": "ZCYX", "Channel": names}, photometric="minisblack")
    elif kind == "ome pages":
        swapped = values.swapaxes(0, 1)
        tifffile.imwrite(
            whole, swapped, ome=True, metadata={"axes": "CZYX"}, compression="zlib", photometric="minisblack"
        )
    elif kind == "ome rgb":
        tifffile.imwrite(whole, values.transpose(0, 2, 3, 1), ome=True, metadata={"axes": "ZYXS"}, photometric="rgb")
    else:
        tifffile.imwrite(whole, values, imagej=True, metadata={"axes": "ZCYX"})
    check(whole.getvalue(), values, page)
    if kind == "ome":
        named = Reading((0, 4095), num_channels=3, channels=("Cy5", "DAPI", "GFP"), page=page)
        assert (decode(whole.getvalue(), named).numpy() == plane(values, page)[[2, 0, 1]] >> 4).all()


def test_what_is_said_of_a_stack(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.ome.tif", ome=True) as file:
        file.write(stack(5, 2), metadata={"axes": "ZCYX"}, photometric="minisblack")
        file.write(stack(3), metadata={"axes": "ZCYX"}, photometric="minisblack")
    found = inspect_file(tmp_path / "x.ome.tif", Reading(channels=(1,)))
    assert (found.error, found.planes, found.channels, found.series, found.sample_type) == ("", 5, 2, 2, "uint16")
    with pytest.raises(UnreadableImageError, match=r"no plane 6 of data\.init_args\.page, it has 5"):
        decode((tmp_path / "x.ome.tif").read_bytes(), Reading(channels=(1,), page=6))
    with pytest.raises(UnreadableImageError, match="TIFF with 2 bands of 16 bits: choose what becomes"):
        decode((tmp_path / "x.ome.tif").read_bytes(), Reading())


def test_thumbnails_and_masks_are_no_planes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    for kind in (np.uint8, np.uint16):
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(255 - values[::4, ::4].astype(kind), photometric="rgb", subfiletype=1, metadata=None)
            file.write(values.astype(kind), photometric="rgb", metadata=None)
            file.write(values[:, :, 0] > 99, subfiletype=4, metadata=None)
            file.write(255 - values.astype(kind), photometric="rgb", metadata=None)
        data = (tmp_path / "x.tif").read_bytes()
        assert (decode(data, Reading((0, 255))).permute(1, 2, 0).numpy() == values).all()
        assert (decode(data, Reading((0, 255), page=2)).permute(1, 2, 0).numpy() == 255 - values).all()
        assert inspect_file(tmp_path / "x.tif").planes == 2
    assert (decode(data, Reading()).shape) == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float64])
def test_a_damaged_page_is_named(kind: Any, capfd: pytest.CaptureFixture[str]) -> None:
    whole, values = io.BytesIO(), (stack(5)[:, 0] >> 4).astype(kind)
    tifffile.imwrite(whole, values, compression="zlib", metadata=None)
    with tifffile.TiffFile(io.BytesIO(whole.getvalue())) as file:
        place, count = file.pages[3].dataoffsets[0], file.pages[3].databytecounts[0]
    data = bytearray(whole.getvalue())
    data[place : place + count] = b"\xff" * count
    for page in ("max", 4):
        with pytest.raises(UnreadableImageError, match=r"page 4: damaged"):
            decode(bytes(data), Reading((0, 255), page=page))
    assert decode(bytes(data), Reading((0, 255), page=3)).shape == (3, HEIGHT, WIDTH)
    if kind == np.float64:  # libtiff writes its own line for a page that Pillow reads
        assert capfd.readouterr() == ("", "")


def test_planes_of_unlike_sizes_have_no_maximum() -> None:
    whole = io.BytesIO()
    with tifffile.TiffWriter(whole) as file:
        file.write(np.zeros((8, 9), np.uint16), metadata=None)
        file.write(np.full((6, 7), 4095, np.uint16), metadata=None)
    with pytest.raises(UnreadableImageError, match=r"planes of unlike sizes, \(8, 9\) and \(6, 7\) px"):
        decode(whole.getvalue(), Reading(page="max"))
    assert decode(whole.getvalue(), Reading("type", page=2)).shape == (3, 6, 7)


@pytest.mark.parametrize(
    ("kind", "mode"),
    # Pillow writes no transparency into a WebP animation.
    [*((kind, mode) for kind in ("GIF", "PNG", "AVIF") for mode in ("RGB", "RGBA")), ("WEBP", "RGB")],
)
def test_frames_of_an_animation(kind: str, mode: str) -> None:
    colours = [(200, 0, 0), (0, 180, 0), (0, 0, 160)]
    frames = [Image.new("RGBA", (WIDTH, HEIGHT), (*colour, 255)) for colour in colours]
    if mode == "RGBA":
        for frame in frames:
            frame.paste((0, 0, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    whole = io.BytesIO()
    options: Any = {"GIF": {"disposal": 2}, "PNG": {"disposal": 1}, "WEBP": {"lossless": True}}.get(
        kind, {"quality": 100}
    )
    frames[0].convert(mode).save(
        whole, kind, save_all=True, append_images=[each.convert(mode) for each in frames[1:]], **options
    )
    expected: dict[Page, tuple[int, int, int]] = {"first": colours[0], "middle": colours[1], 3: colours[2]}
    expected |= {"max": (200, 180, 160), "mean": (67, 60, 53)}
    for page, colour in expected.items():
        pixels = decode(whole.getvalue(), Reading(page=page)).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(pixels[:, WIDTH // 2 + 4 :] - colour).max() <= 3, page
        assert np.abs(pixels[:, : WIDTH // 2 - 4] - (255 if mode == "RGBA" else colour)).max() <= 3, page


def test_the_second_picture_of_a_photograph_is_no_plane() -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ((200, 0, 0), (0, 0, 160))]
    whole = io.BytesIO()
    frames[0].save(whole, "MPO", save_all=True, append_images=frames[1:])
    assert (decode(whole.getvalue(), Reading(page="max"))[2] < 4).all()


def pixel(
    planes: NDArray[Any], page: Page, nodata: float | None = None, intensity: Any = "type", **options: Any
) -> int:
    file, tags = io.BytesIO(), [] if nodata is None else [(42113, "s", 0, str(nodata), True)]
    tifffile.imwrite(file, planes.reshape(-1, 1, 1), extratags=tags, **{"metadata": None, **options})
    return int(decode(file.getvalue(), Reading(intensity, page=page))[0, 0, 0])


@pytest.mark.parametrize("page", ["mean", "max"])
def test_what_was_not_measured_is_in_no_mean_and_no_maximum(page: Page) -> None:
    assert pixel(np.array([1000, -9999], np.int16), page, nodata=-9999) == (1000 + 2**15) >> 8
    assert pixel(np.array([10000, 65535], np.uint16), page, nodata=65535) == 10000 >> 8
    assert pixel(np.array([65535, 65535], np.uint16), page, nodata=65535) == 0
    assert pixel(np.array([0.5, np.nan], np.float32), page, intensity=(0, 1)) == 128
    assert pixel(np.array([np.nan, np.nan], np.float32), page, intensity=(0, 1)) == 0


@pytest.mark.parametrize(("kind", "factor"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_negative_of_any_depth_has_its_own_numbers(kind: type, factor: int) -> None:
    planes = np.array([216, 21]).astype(kind) * kind(factor)
    assert pixel(planes, "max", photometric="miniswhite") == 255 - 216
    assert pixel(planes, "mean", photometric="miniswhite") in (136, 137)
    assert pixel(planes[:1], "first", intensity=(0, 100 * factor), photometric="miniswhite") == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # by Pillow, of the cut tags
@pytest.mark.parametrize("page", ["mean", "max", "first"])
def test_a_cut_stack_of_imagej_is_named(page: Page) -> None:
    file = io.BytesIO()
    planes = np.stack([np.full((16, 16), value, np.uint16) for value in (10000, 30000, 60000)])
    tifffile.imwrite(file, planes, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(UnreadableImageError, match="truncated: 1 of the 3 planes that its text names"):
        decode(file.getvalue()[: len(file.getvalue()) * 2 // 3], Reading("type", page=page))
