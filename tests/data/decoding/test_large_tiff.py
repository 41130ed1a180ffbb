from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import UnreadableImageError

HEIGHT, WIDTH = 530, 397  # no multiples of boxes, strips or tiles
SMALL = 0.1  # megapixels; the files have 0.21
WAYS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 37, "compression": "zlib"},
    "tiles": {"tile": (64, 48), "compression": "zstd"},
    "rows": {},
    "separate": {"planarconfig": "separate", "rowsperstrip": 50, "compression": "lzw", "predictor": True},
    "separate rows": {"planarconfig": "separate", "byteorder": ">"},
}


def smooth(kind: str) -> NDArray[Any]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    values = np.stack([y / HEIGHT, x / WIDTH, np.cos(y / 9) * np.sin(x / 7) / 2 + 0.5], axis=2)
    if kind == "float32":
        return values.astype(np.float32)
    most, low = np.iinfo(kind).max, np.iinfo(kind).min
    return np.rint(low + values * (float(most) - low)).astype(kind)


def boxes(values: NDArray[Any], side: int, there: NDArray[Any] | None = None) -> NDArray[np.float64]:
    there = np.ones(values.shape) if there is None else there
    rows, columns = np.arange(0, values.shape[0], side), np.arange(0, values.shape[1], side)
    sums, counts = (
        np.add.reduceat(np.add.reduceat(each, rows, axis=0), columns, axis=1)
        for each in (np.where(there, values, 0).astype(np.float64), there.astype(np.float64))
    )
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_a_large_page_becomes_the_means_of_its_boxes(kind: str, way: str) -> None:
    values, whole = smooth(kind), io.BytesIO()
    stored = values.transpose(2, 0, 1) if "separate" in way else values
    tifffile.imwrite(whole, stored, photometric="rgb", metadata=None, **WAYS[way])
    intensity: Any = (0, 1) if kind == "float32" else "type"
    pixels = decode(whole.getvalue(), Reading(intensity, max_megapixels=SMALL), least_px=40)
    low, high = (0, 1) if kind == "float32" else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    means = boxes(values, WIDTH // 80)
    wanted = np.floor((means - low) * 256 / (high - low + (kind != "float32"))).clip(0, 255)
    assert pixels.shape == (3, 133, 100)
    assert np.abs(pixels.permute(1, 2, 0).numpy() - wanted).max() <= 1


@pytest.mark.parametrize("nodata", [None, -9.0])
def test_what_was_not_measured_is_in_no_mean(nodata: float | None) -> None:
    values, whole = smooth("float32"), io.BytesIO()
    there = (np.arange(HEIGHT) > 300)[:, None, None] & (np.arange(WIDTH) % 7 > 1)[None, :, None] & (values >= 0)
    stored = np.where(there, values, np.nan if nodata is None else nodata).astype(np.float32)
    tag = [] if nodata is None else [(42113, "s", 0, str(nodata), True)]
    tifffile.imwrite(whole, stored, photometric="rgb", tile=(64, 64), compression="zlib", metadata=None, extratags=tag)
    pixels = decode(whole.getvalue(), Reading((0, 1), max_megapixels=SMALL), least_px=40).permute(1, 2, 0).numpy()
    means = boxes(values, 4, there)
    assert (pixels[np.isnan(means)] == 0).all()
    known = ~np.isnan(means)
    assert known.mean() < 0.5
    assert np.abs(pixels[known] - np.floor(means[known] * 256).clip(0, 255)).max() <= 1


def test_a_large_page_is_refused_where_all_pixels_are_needed() -> None:
    whole = io.BytesIO()
    tifffile.imwrite(whole, smooth("uint16"), photometric="rgb", metadata=None)
    with pytest.raises(
        UnreadableImageError, match=r"397 x 530 px = 0\.21 megapixels; the limit is 0\.1: data\.init_args"
    ):
        decode(whole.getvalue(), Reading(max_megapixels=SMALL))


def levels(how: str, path: Path) -> None:
    """A pyramid of grey levels that tell which level was read: 10, 20 and so on, each of half the side."""
    full = [np.full((960 >> number, 1280 >> number, 3), 10 + 10 * number, np.uint8) for number in range(4)]
    with tifffile.TiffWriter(path, ome=how == "ome") as file:
        for number, level in enumerate(full):
            options: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "metadata": None}
            if number == 0:
                options |= {"subifds": 3 if how in ("subifds", "ome") else 0}
                options |= {"metadata": {"axes": "YXS"}} if how == "ome" else {}
                options |= {"description": "Aperio Image Library v1"} if how == "slide" else {}
            elif how != "slide":
                options["subfiletype"] = 1
            file.write(level, **options)
            if number == 0 and how == "slide":
                file.write(np.full((100, 130, 3), 250, np.uint8), photometric="rgb", metadata=None)


@pytest.mark.parametrize("how", ["subifds", "pages", "ome", "slide"])
def test_the_smallest_level_that_suffices_is_read(how: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    levels(how, path)
    for least_px, grey, height in ((50, 40, 120), (60, 40, 120), (61, 30, 240), (200, 20, 480)):
        pixels = decode(path.read_bytes(), Reading(max_megapixels=1), least_px)
        assert (pixels.unique().tolist(), pixels.shape[1]) == ([grey], height), least_px
    assert decode(path.read_bytes(), Reading(), 50).unique().tolist() == [10]  # it is no large one
    found = inspect_file(path)
    assert (found.error, found.width, found.height, found.planes) == ("", 1280, 960, 1)


def tiles(side: int, tile: int) -> Iterator[bytes]:
    """Compressed tiles of four colours, one for each quarter."""
    colours = [(200, 30, 40), (20, 180, 60), (10, 20, 220), (240, 240, 30)]
    packed = [zlib.compress(np.full((tile, tile, 3), each, np.uint8).tobytes(), 1) for each in colours]
    count = -(-side // tile)
    for y in range(count):
        yield from (packed[2 * (2 * y >= count) + (2 * x >= count)] for x in range(count))


MEASURED = """
import sys
from pathlib import Path
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import Framing, read_image

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here on
before = kilobytes("VmRSS")
pixels = read_image(Path(sys.argv[1]), Framing(224))
found = inspect_file(Path(sys.argv[1]))
print(kilobytes("VmHWM") - before, found.width, *pixels[:, [20, 20, -20, -20], [20, -20, 20, -20]].flatten().tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize(("side", "shares"), [(30_000, (1, 4, 16)), (40_000, (1,))])
def test_gigapixels_take_little_memory(side: int, shares: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for share in shares:
            options: dict[str, Any] = {"photometric": "rgb", "tile": (512, 512), "compression": "zlib"}
            options |= {"subfiletype": 1} if share > 1 else {"subifds": len(shares) - 1}
            shape = (side // share, side // share, 3)
            file.write(tiles(side // share, 512), shape=shape, dtype=np.uint8, metadata=None, **options)
    done = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True)
    more_kb, width, *colours = map(int, done.stdout.split())
    assert (done.stderr, width) == ("", side)
    assert colours == [200, 20, 10, 240, 30, 180, 20, 240, 40, 60, 220, 30]
    assert more_kb < 200_000  # the whole would be 2.7 or 4.8 GB
