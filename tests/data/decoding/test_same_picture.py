"""The same pictures in many formats and depths give the same pixels; made bands and stacks, every value checked."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tlearn import ImageFolderDataModule
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import UnreadableImageError
from tlearn.data.files.reading import Framing, read_image
from tlearn.data.images.on_disk import StreamedImages

Grey = NDArray[np.uint8]
Writer = Callable[[Path, Grey], object]
SIZE_PX = 64


def grey_picture(number: int) -> Grey:
    """All grey levels from black to white, under noise that the number decides."""
    draws = np.random.default_rng(number)
    ramp = np.linspace(0, 255, SIZE_PX)[None] * np.ones((SIZE_PX, 1))
    return (ramp + draws.normal(0, 12, ramp.shape)).clip(0, 255).astype(np.uint8)


def as_rgb(grey: NDArray[Any]) -> NDArray[Any]:
    """Three channels that differ."""
    return np.dstack([grey, grey[:, ::-1], grey[::-1]])


def pillow(suffix: str, **options: Any) -> Writer:
    return lambda path, grey: Image.fromarray(grey).save(path.with_suffix(suffix), **options)


def tiff(turn: Callable[[Grey], NDArray[Any]], **options: Any) -> Writer:
    return lambda path, grey: tifffile.imwrite(path.with_suffix(".tif"), turn(grey), **options)


def coded(suffix: str, code: Callable[[Grey], bytes | bytearray]) -> Writer:
    def write(path: Path, grey: Grey) -> None:
        path.with_suffix(suffix).write_bytes(code(grey))

    return write


def wide(grey: NDArray[Any]) -> NDArray[np.uint16]:
    return np.asarray(grey, np.uint16) * 257


# Format, writer, and the largest difference in grey levels.
GREY: dict[str, tuple[Writer, int]] = {
    "PNG": (pillow(".png"), 0),
    "BMP": (pillow(".bmp"), 0),
    "WebP, lossless": (pillow(".webp", lossless=True), 0),
    "JPEG, quality 100": (pillow(".jpg", quality=100), 2),
    "JPEG 2000": (pillow(".jp2"), 0),
    "TIFF, LZW": (pillow(".tif", compression="tiff_lzw"), 0),
    "PNG of 16 bits": (coded(".png", lambda grey: imagecodecs.png_encode(wide(grey))), 0),
    "PGM of 16 bits": (
        coded(".pgm", lambda grey: b"P5 64 64 65535\n" + wide(grey).astype(">u2").tobytes()),
        0,
    ),
    "TIFF, 16 bits": (tiff(wide), 0),
    "TIFF, 16 bits, white is zero": (tiff(lambda grey: 65535 - wide(grey), photometric="miniswhite"), 0),
    "TIFF, 12 bits in 16": (tiff(lambda grey: wide(grey) >> 4), 0),
    "TIFF, 10 bits in 16, big-endian": (tiff(lambda grey: wide(grey) >> 6, byteorder=">"), 0),
    "TIFF, int16": (tiff(lambda grey: (wide(grey) >> 1).astype(np.int16), compression="zlib"), 0),
    "TIFF, uint32": (tiff(lambda grey: wide(grey).astype(np.uint32) * 65537), 0),
    "TIFF, float32": (tiff(lambda grey: grey.astype(np.float32) / 255), 0),
    "TIFF, float64": (tiff(lambda grey: grey / 255), 0),
    "BigTIFF, tiles, Zstandard": (tiff(wide, bigtiff=True, tile=(16, 16), compression="zstd"), 0),
    "PGM of 12 bits": (
        coded(".pgm", lambda grey: b"P5 # 64 x 64\n64 64\n4095\n" + (wide(grey) >> 4).astype(">u2").tobytes()),
        0,
    ),
    "JPEG 2000 of 12 bits": (
        coded(".jp2", lambda grey: imagecodecs.jpeg2k_encode(wide(grey) >> 4, level=0, bitspersample=12)),
        0,
    ),
    "JPEG 2000 of 16 bits": (coded(".jp2", lambda grey: imagecodecs.jpeg2k_encode(wide(grey), level=0)), 0),
    "OME-TIFF": (
        lambda path, grey: tifffile.imwrite(path.with_suffix(".ome.tif"), wide(grey), metadata={"axes": "YX"}),
        0,
    ),
}
COLOUR: dict[str, tuple[Writer, int]] = {
    "PNG of 16 bits a colour": (coded(".png", lambda grey: imagecodecs.png_encode(wide(as_rgb(grey)))), 0),
    "TIFF, 16 bits a colour": (tiff(lambda grey: wide(as_rgb(grey)), photometric="rgb"), 0),
    "TIFF, 16 bits, planes of colours": (
        tiff(lambda grey: np.moveaxis(wide(as_rgb(grey)), 2, 0), photometric="rgb", planarconfig="separate"),
        0,
    ),
    "TIFF, 12 bits in 16 a colour": (tiff(lambda grey: wide(as_rgb(grey)) >> 4, photometric="rgb"), 0),
    "JPEG 2000 of 12 bits a colour": (
        coded(".jp2", lambda grey: imagecodecs.jpeg2k_encode(wide(as_rgb(grey)) >> 4, level=0, bitspersample=12)),
        0,
    ),
}


def pixels(folder: Path, write: Writer) -> Tensor:
    """Write six pictures of two classes, and return them as a data module serves them, in their order."""
    for number in range(6):
        path = folder / "train" / f"class{number % 2}" / f"{number}.x"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, grey_picture(number))
    data = ImageFolderDataModule(str(folder), size_px=SIZE_PX, crop_pct=1.0, val_fraction=0.0)
    data.setup("fit")
    images = data.dataset("train")
    assert isinstance(images, StreamedImages)
    return torch.stack([images.pictures.read(number, data.framing) for number in range(6)])


def expected(colour: bool) -> Tensor:
    order = [number for rest in range(2) for number in range(rest, 6, 2)]
    arrays = [grey_picture(number) for number in order]
    shown = [as_rgb(grey) if colour else np.dstack([grey] * 3) for grey in arrays]
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", [*GREY, *COLOUR])
def test_the_same_pictures_give_the_same_pixels(name: str, tmp_path: Path) -> None:
    write, tolerance = (GREY | COLOUR)[name]
    difference = (pixels(tmp_path / "pictures", write).int() - expected(name in COLOUR).int()).abs()
    assert int(difference.max()) <= tolerance


def read(path: Path, **options: Any) -> Tensor:
    return read_image(path, Framing(SIZE_PX, crop_pct=1.0, reading=Reading(**options)))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32])
def test_every_value_of_a_chosen_band_arrives(planar: str, kind: type, tmp_path: Path) -> None:
    bands = np.stack([grey_picture(number) for number in range(5)])
    values = bands if planar == "separate" else np.moveaxis(bands, 0, 2)
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": planar, "metadata": None}
    tifffile.imwrite(tmp_path / "bands.tif", np.ascontiguousarray(values).astype(kind), **options)
    seen = read(tmp_path / "bands.tif", intensity=(0, 255), channels=(5, 1, 3))
    # A float range of 0 to 255 has 256 steps of 255/256.
    steps = bands[[4, 0, 2]] if kind != np.float32 else (bands[[4, 0, 2]].astype(float) * 256 / 255).clip(0, 255)
    assert np.array_equal(seen.numpy(), steps.astype(np.uint8))
    whole = read(tmp_path / "bands.tif", intensity=(0, 255), num_channels=5).numpy()
    assert whole.shape == (5, SIZE_PX, SIZE_PX)
    assert np.array_equal(whole[[4, 0, 2]], seen.numpy())
    with pytest.raises(UnreadableImageError, match=r"5 bands of .*channels .*model.in_channels 5"):
        read(tmp_path / "bands.tif", intensity=(0, 255))


@pytest.mark.parametrize(
    ("page", "expected"), [("first", 0), ("middle", 2), ("max", "max"), ("mean", "mean"), (1, 0), (4, 3), (5, 4)]
)
@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_every_value_of_a_plane_arrives(page: Any, expected: Any, suffix: str, tmp_path: Path) -> None:
    planes = np.stack([wide(grey_picture(number)) >> 4 for number in range(5)])
    axes: dict[str, Any] = {"metadata": {"axes": "ZYX"}} if suffix == ".ome.tif" else {"metadata": None}
    tifffile.imwrite(tmp_path / f"stack{suffix}", planes, photometric="minisblack", **axes)
    seen = read(tmp_path / f"stack{suffix}", intensity=(0, 4095), page=page)
    plane = {"max": planes.max(axis=0), "mean": np.rint(planes.mean(axis=0)).astype(np.uint16)}.get(expected)
    plane = planes[expected] if plane is None else plane
    assert np.array_equal(seen[0].numpy(), (plane >> 4).astype(np.uint8))
    with pytest.raises(UnreadableImageError, match=r"no plane 6 of data.init_args.page, it has 5"):
        read(tmp_path / f"stack{suffix}", page=6)


def test_channels_of_a_microscope_are_no_planes(tmp_path: Path) -> None:
    planes = np.stack([wide(grey_picture(number)) for number in range(2)])
    about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "x.ome.tif", planes, photometric="minisblack", metadata=about)
    seen = read(tmp_path / "x.ome.tif", intensity="type", channels=("GFP",))
    assert np.array_equal(seen.numpy(), np.stack([planes[1] >> 8] * 3).astype(np.uint8))
    with pytest.raises(UnreadableImageError, match=r"no band Cy5 of data.init_args.channels; it has DAPI, GFP"):
        read(tmp_path / "x.ome.tif", channels=("Cy5",))


def test_a_thumbnail_is_no_plane(tmp_path: Path) -> None:
    colours = as_rgb(grey_picture(1))
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(255 - colours[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(colours, photometric="rgb")
    assert np.array_equal(read(tmp_path / "x.tif").numpy(), np.moveaxis(colours, 2, 0))


@pytest.mark.parametrize("name", ["PGM of 12 bits", "JPEG 2000 of 12 bits", "TIFF, 12 bits in 16"])
def test_numbers_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    GREY[name][0](tmp_path / "x.x", grey_picture(1))
    (path,) = tmp_path.iterdir()
    assert np.array_equal(read(path, intensity=(0, 4095))[0].numpy(), grey_picture(1))


def test_two_bands_are_no_picture_in_red_green_and_blue(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "x.tif", as_rgb(grey_picture(1))[:, :, :2], photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(UnreadableImageError, match=r"2 bands of 8 bits: .*channels \[1\], or .*in_channels 2"):
        read(tmp_path / "x.tif")


def test_a_negative_keeps_its_own_numbers(tmp_path: Path) -> None:
    """White-is-zero of 12 bits in 16: the range is of the file's numbers, and what was not measured is black."""
    values = 4095 - (wide(grey_picture(1)) >> 4)
    values[:8] = 9999
    nodata = (42113, "s", 0, "9999", True)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="miniswhite", extratags=[nodata])
    seen = read(tmp_path / "x.tif")[0].numpy()
    assert np.array_equal(seen[8:], grey_picture(1)[8:])
    assert not seen[:8].any()
    floats = np.where(values == 9999, np.nan, values / 4095).astype(np.float32)
    tifffile.imwrite(tmp_path / "x.tif", floats, photometric="miniswhite")
    seen = read(tmp_path / "x.tif", intensity=(0, 1))[0].numpy()
    assert np.abs(seen[8:].astype(int) - grey_picture(1)[8:]).max() <= 1
    assert not seen[:8].any()


def png(bits: int, colour: int, row: bytes, key: bytes) -> bytes:
    """One row of two pixels, of which the file calls one colour transparent."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", 2, 1, bits, colour, 0, 0, 0), b"tRNS": key}
    parts |= {b"IDAT": zlib.compress(b"\0" + row), b"IEND": b""}
    chunks = [len(data).to_bytes(4, "big") + name + data + crc(name + data) for name, data in parts.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("bits", "colour", "row", "key"),
    [
        (1, 0, b"\x40", b"\0\1"),
        (2, 0, b"\x10", b"\0\1"),
        (4, 0, b"\x07", b"\0\7"),
        (8, 0, b"\0\7", b"\0\7"),
        (16, 0, b"\0\0\3\xe8", b"\3\xe8"),
        (8, 2, b"\0\0\0\1\2\3", b"\0\1\0\2\0\3"),
        (16, 2, b"\0\0" * 3 + b"\3\xe8" * 3, b"\3\xe8" * 3),
    ],
)
@pytest.mark.parametrize("intensity", ["type", (0, 65535)])
def test_the_colour_that_is_transparent_is_white(
    bits: int, colour: int, row: bytes, key: bytes, intensity: Any, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(png(bits, colour, row, key))
    pixels = decode(tmp_path / "x.png", Reading(intensity if bits == 16 else "type"))
    assert pixels[:, 0].tolist() == [[0, 255]] * 3


@pytest.mark.parametrize(("number", "seen"), [(65535, 255), (256, 1), (255, 0), (0, 0)])
def test_a_dark_pgm_is_read_as_a_bright_one(number: int, seen: int, tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(b"P5\n64 64\n65535\n" + np.full((64, 64), number, ">u2").tobytes())
    assert (read(tmp_path / "x.pgm", intensity="type") == seen).all()
    assert (read(tmp_path / "x.pgm", ranges={"uint16": (0, 255)}) == min(number, 255)).all()
