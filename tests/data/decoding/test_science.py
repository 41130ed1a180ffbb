"""Files other than TIFF that Pillow does not read right: PNG, JPEG 2000 and JPEG of more than 8 bits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.helpers.fake_pictures import without_extras
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.inspection import inspect_file
from tlearn.data.files.reading import UnreadableImageError

HEIGHT, WIDTH = 48, 36
TYPED = Reading("type")


def ramps(bits: int, channels: int, is_signed: bool = False) -> NDArray[Any]:
    """Smooth numbers that use all bits; the last of two or four channels is opaque, but for the left quarter."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    low, most = (-(2 ** (bits - 1)) if is_signed else 0), 2**bits - 1
    values = np.stack([low + most * ((x * (place + 1) + y) % 83) // 82 for place in range(channels)], axis=2)
    if channels in (2, 4):
        values[:, :, -1] = low + np.where(x < WIDTH // 4, 0, most)
    return values.astype(f"{'i' if is_signed else 'u'}{1 if bits <= 8 else 2}")


def upper(values: NDArray[Any], bits: int, is_signed: bool = False) -> NDArray[Any]:
    """The upper eight bits of red, green and blue, transparent pixels white."""
    pixels = (values.astype(int) + (2 ** (bits - 1) if is_signed else 0)) >> (bits - 8)
    if values.shape[2] in (2, 4):
        pixels = np.where(pixels[:, :, -1:] == 0, 255, pixels[:, :, :-1])
    return pixels if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)


def decoded(data: bytes | bytearray, reading: Reading = TYPED) -> NDArray[Any]:
    return decode(bytes(data), reading).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("reading", [TYPED, Reading(), Reading((0, 65535))])
def test_png_of_sixteen_bits(reading: Reading, channels: int) -> None:
    values = ramps(16, channels)
    data = imagecodecs.png_encode(values if channels > 1 else values[:, :, 0])
    assert (decoded(data, reading) == upper(values, 16)).all()


def test_colours_of_twelve_bits_in_a_png(tmp_path: Path) -> None:
    values = ramps(12, 3)
    (tmp_path / "x.png").write_bytes(imagecodecs.png_encode(values))
    assert (decoded((tmp_path / "x.png").read_bytes(), Reading()) == values >> 4).all()
    found = inspect_file(tmp_path / "x.png")
    assert (found.error, found.sample_type, found.channels, found.bits, found.width) == ("", "uint16", 3, 16, WIDTH)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("bits", "is_signed"), [(8, False), (10, False), (12, False), (16, False), (12, True), (16, True)]
)
def test_jpeg_2000_of_any_bits(bits: int, is_signed: bool, channels: int) -> None:
    values = ramps(bits, channels, is_signed)
    stored = values if channels > 1 else values[:, :, 0]
    data = imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=bits, reversible=True, codecformat="jp2")
    assert (decoded(data) == upper(values, bits, is_signed)).all()


def test_bands_of_jpeg_2000() -> None:
    values = ramps(12, 5)
    data = imagecodecs.jpeg2k_encode(values, level=0, bitspersample=12, reversible=True, codecformat="j2k")
    with pytest.raises(UnreadableImageError, match="JPEG 2000 of 5 channels of 12 bits: choose what becomes red"):
        decode(bytes(data), Reading())
    assert (decoded(data, Reading("type", channels=(4, 1, 5))) == (values >> 4)[:, :, [3, 0, 4]]).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("reading", [TYPED, Reading(), Reading((0, 4095))])
def test_jpeg_of_twelve_bits(reading: Reading, channels: int, tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    values = np.stack([(x + y) * 49] * channels, axis=2).astype(np.uint16)
    data = imagecodecs.jpeg8_encode(values if channels > 1 else values[:, :, 0], level=100, bitspersample=12)
    assert np.abs(decoded(data, reading).astype(int) - upper(values, 12)).max() <= 1
    (tmp_path / "x.jpg").write_bytes(data)
    found = inspect_file(tmp_path / "x.jpg")
    assert (found.error, found.sample_type, found.bits, found.channels) == ("", "uint12", 12, channels)


@pytest.mark.parametrize("kind", ["png", "jp2", "jpg"])
def test_the_limit_holds_for_all(kind: str) -> None:
    values = ramps(12, 3)
    encode: Any = {
        "png": imagecodecs.png_encode,
        "jp2": lambda stored: imagecodecs.jpeg2k_encode(stored, level=0, bitspersample=12),
        "jpg": lambda stored: imagecodecs.jpeg8_encode(stored, level=90, bitspersample=12),
    }[kind]
    with pytest.raises(UnreadableImageError, match=r"36 x 48 px = 0\.00173 megapixels; the limit is 0\.001: data"):
        decode(bytes(encode(values)), Reading(max_megapixels=0.001))


@pytest.mark.parametrize("kind", ["png", "jp2", "jpg", "tif"])
def test_a_missing_extra_is_named_with_its_remedy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values, whole = ramps(12, 3), io.BytesIO()
    tifffile.imwrite(whole, values, photometric="rgb")
    encoded = {
        "png": lambda: imagecodecs.png_encode(values),
        "jp2": lambda: imagecodecs.jpeg2k_encode(values, level=0, bitspersample=12),
        "jpg": lambda: imagecodecs.jpeg8_encode(values, level=90, bitspersample=12),
        "tif": whole.getvalue,
    }[kind]()
    without_extras(monkeypatch)
    with pytest.raises(UnreadableImageError, match=r"which needs tifffile and imagecodecs: pip install 'tlearn\[sci"):
        decode(bytes(encoded), Reading())


@pytest.mark.parametrize("kind", ["png", "jp2", "jpg", "tif"])
def test_damaged_files_are_named_in_one_line(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    values, whole = ramps(12, 3), io.BytesIO()
    tifffile.imwrite(whole, values, photometric="rgb", compression="zlib")
    data = {
        "png": lambda: imagecodecs.png_encode(values),
        "jp2": lambda: imagecodecs.jpeg2k_encode(values, level=0, bitspersample=12),
        "jpg": lambda: imagecodecs.jpeg8_encode(values, level=90, bitspersample=12),
        "tif": whole.getvalue,
    }[kind]()
    with pytest.raises(UnreadableImageError) as caught:
        decode(bytes(data[: len(data) * 2 // 3]), Reading("type"))
    assert str(caught.value).startswith(("truncated", "damaged (")), caught.value
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
