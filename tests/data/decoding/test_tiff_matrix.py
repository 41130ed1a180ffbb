"""TIFF files of all kinds that tifffile writes: each gives the numbers that were written, or is named."""

from __future__ import annotations

import io
from itertools import product
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import UnreadableImageError

HEIGHT, WIDTH = 48, 32
TYPES = [
    "bool",
    *(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32)),
    "float16",
    "float32",
    "float64",
]
COLOURS = {"minisblack": 1, "miniswhite": 1, "palette": 1, "rgb": 3, "separated": 4, "bands": 5, "rgbn": 4}


def made(kind: np.dtype[Any], channels: int) -> NDArray[Any]:
    rng, shape = np.random.default_rng(channels), (HEIGHT, WIDTH, channels)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    if kind.kind == "f":
        return (rng.random(shape) * 2 - 1).astype(kind)
    return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, kind, endpoint=True)


def written(values: NDArray[Any], colours: str, **options: Any) -> bytes:
    whole = io.BytesIO()
    photometric = {"bands": "minisblack", "rgbn": "rgb"}.get(colours, colours)
    if colours == "rgbn":
        options["extrasamples"] = ["unspecified"]
    if values.shape[2] == 1:
        values, options["planarconfig"] = values[:, :, 0], None
    elif options["planarconfig"] == "separate":
        values = values.transpose(2, 0, 1)
    if colours == "palette":
        options["colormap"] = palette(values.dtype)
    order = options["byteorder"]
    tifffile.imwrite(
        whole, values.astype(values.dtype.newbyteorder(order)), photometric=photometric, metadata=None, **options
    )
    return whole.getvalue()


def palette(kind: np.dtype[Any]) -> NDArray[np.uint16]:
    return np.random.default_rng(5).integers(0, 65536, (3, 2 ** (8 * kind.itemsize)), dtype=np.uint16)


def expected(values: NDArray[Any], colours: str) -> NDArray[Any]:
    """The upper eight bits of each number, of floats between -1 and 1."""
    numbers, kind = values.astype(np.float64), values.dtype
    low, high = (-1.0, 1.0) if kind.kind == "f" else (0, 1) if kind.kind == "b" else limits(kind)
    if colours == "miniswhite":
        numbers = low + high - numbers
    elif colours == "palette":
        numbers, low, high = (palette(kind) >> 8).T[values[:, :, 0]].astype(float), 0, 255
    elif colours == "separated" and kind.kind == "u":
        numbers = np.rint((high - numbers[:, :, :3]) * (high - numbers[:, :, 3:]) / high)
    width = high - low + (kind.kind != "f")
    pixels = np.floor((numbers - low) * 256 / width).clip(0, 255) if kind.kind != "b" else 255 * numbers
    return pixels if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)


def limits(kind: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def check(kind: np.dtype[Any], colours: str, orientation: int = 1, **options: Any) -> None:
    values = made(kind, COLOURS[colours])
    wanted = expected(values, colours)
    if orientation == 6:
        wanted = wanted.swapaxes(0, 1)[:, ::-1]
    intensity: Any = (-1.0, 1.0) if kind.kind == "f" else "type"
    tag = (274, 3, 1, orientation, True)
    data = written(values, colours, extratags=[tag], **options)
    pixels = decode(data, Reading(intensity, num_channels=wanted.shape[2])).permute(1, 2, 0).numpy()
    assert pixels.shape == wanted.shape, (kind, colours, orientation, options)
    away = int(np.abs(pixels - wanted).max())
    # Pillow rounds the product of two inks otherwise. Steps of floats are cut before white and black are exchanged.
    tolerance = colours == "separated" if kind.kind == "u" else colours == "miniswhite" and kind.kind == "f"
    assert away <= tolerance, (kind, colours, orientation, options, away)


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_are_those_that_were_written(kind: str) -> None:
    for colours, order, orientation in product(COLOURS, "<>", (1, 6)):
        if (colours == "palette" and kind not in ("uint8", "uint16")) or (kind == "bool" and COLOURS[colours] > 1):
            continue
        check(np.dtype(kind), colours, orientation, planarconfig="contig", byteorder=order, compression="zlib")
        check(np.dtype(kind), colours, orientation, planarconfig="separate", byteorder=order, tile=(16, 16))


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_no_way_of_writing_changes_numbers(tile: Any, compression: str | None) -> None:
    for kind, colours, planar, order in product(TYPES[1:], COLOURS, ("contig", "separate"), "<>"):
        if colours == "palette" and kind not in ("uint8", "uint16"):
            continue
        predictor = compression in ("zlib", "lzw", "zstd", "lzma") and kind not in ("float16",)
        how = {"planarconfig": planar, "byteorder": order, "tile": tile, "compression": compression}
        check(np.dtype(kind), colours, predictor=predictor, **how)


@pytest.mark.parametrize(
    ("kind", "channels", "named"),
    [
        ("complex64", 1, "TIFF of complex64, which is not read; save whole numbers of 8 to 32 bits, or floats"),
        ("int64", 3, "TIFF of int64, which is not read"),
        ("uint64", 1, "TIFF of uint64, which is not read"),
        ("bool", 3, "TIFF with 3 bands of 1 bits, which is not read; save 8 bits"),
        (
            "uint16",
            13,
            r"TIFF with 13 bands of 16 bits: choose what becomes red, green and blue: data.init_args.channels",
        ),
    ],
)
def test_what_is_not_read_is_named(kind: str, channels: int, named: str, capfd: pytest.CaptureFixture[str]) -> None:
    values = np.zeros((HEIGHT, WIDTH, channels), kind)
    data = written(values, "rgb" if channels == 3 else "minisblack", planarconfig="contig", byteorder="<")
    with pytest.raises(UnreadableImageError, match=named):
        decode(data, Reading())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_packed_bits(bits: int, channels: int) -> None:
    kind: Any = np.uint8 if bits < 8 else np.uint16
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, 31, channels)).astype(kind)
    whole = io.BytesIO()
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(whole, values[:, :, 0] if channels == 1 else values, bitspersample=bits, photometric=photometric)
    pixels = decode(whole.getvalue(), Reading("type")).permute(1, 2, 0).numpy()
    wanted = np.rint(values * (255 / (2**bits - 1))) if bits < 8 else values >> (bits - 8)
    assert (pixels == wanted).all()


def test_extra_channels_are_transparency_only_if_the_file_says_so() -> None:
    values = made(np.dtype("uint16"), 4)
    values[:, :, 3] = np.where(np.arange(WIDTH) < 16, 65535, 0)
    values[:, 16:, :3] = 0
    for said, is_alpha in (("unspecified", False), ("unassalpha", True), ("assocalpha", True)):
        whole = io.BytesIO()
        tifffile.imwrite(whole, values, photometric="rgb", extrasamples=[said])
        if not is_alpha:
            with pytest.raises(UnreadableImageError, match="TIFF with 4 bands of 16 bits: choose what"):
                decode(whole.getvalue(), Reading("type"))
            continue
        pixels = decode(whole.getvalue(), Reading("type")).permute(1, 2, 0).numpy()
        assert (pixels[:, :16] == values[:, :16, :3] >> 8).all()
        assert (pixels[:, 16:] == 255).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_colours_multiplied_by_transparency_are_divided(kind: str) -> None:
    values = np.zeros((HEIGHT, WIDTH, 4), np.float64)
    values[:, :, 3] = np.where(np.arange(WIDTH) < 30, 1, 0.5)
    values[:, :, :3] = 0.4 * values[:, :, 3:]
    most = 1 if kind == "float32" else np.iinfo(kind).max
    stored = (values * most).round(3).astype(kind) if kind == "float32" else np.rint(values * most).astype(kind)
    whole = io.BytesIO()
    tifffile.imwrite(whole, stored, photometric="rgb", extrasamples=["assocalpha"])
    pixels = decode(whole.getvalue(), Reading((0, 1) if kind == "float32" else "type")).permute(1, 2, 0).numpy()
    assert np.abs(pixels[:, :30].astype(int) - 102).max() <= 1
    assert np.abs(pixels[:, 30:].astype(int) - (102 + 255) / 2).max() <= 1.5
