"""Pictures beside Chromium's: the same files drawn into a canvas of sRGB. docs/formats.md shows the table."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.browser.pages import chromium_path, open_browser, open_page
from tests.data.decoding.test_colour import ADOBE, P3, gama, png_with, saved
from tests.helpers.fake_pictures import grey_profile, ink_profile, rgb_profile
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import BEFORE, Reading

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DRAW = """async (url) => {
  const image = new Image(); image.src = url; await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d', {colorSpace: 'srgb', willReadFrequently: true});
  context.fillStyle = '#fff'; context.fillRect(0, 0, canvas.width, canvas.height); context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let place = 0; place < data.length; place += 4)
    text += String.fromCharCode(data[place], data[place + 1], data[place + 2]);
  return [canvas.width, canvas.height, btoa(text)];
}"""
_TYPES = {b"\x89P": "png", b"\xff\xd8": "jpeg", b"RI": "webp", b"GI": "gif"}


def photograph(mode: str = "RGB") -> Image.Image:
    """80 x 48 px, smooth, with saturated colours."""
    y, x = np.mgrid[0:48, 0:80]
    levels = np.stack([255 * x / 79, 255 * y / 47, 255 * (1 - x / 79) * (0.4 + 0.6 * y / 47)], axis=2)
    return Image.fromarray(levels.round().astype(np.uint8)).convert(mode)


def inked() -> Image.Image:
    inks = np.array(photograph("CMYK"))
    inks[..., 3] = np.mgrid[0:48, 0:80][0] * 3
    return Image.fromarray(inks, "CMYK")


def half_transparent() -> Image.Image:
    image = photograph("RGBA")
    image.putalpha(photograph("L"))
    return image


def without_adobes_marker(data: bytes) -> bytes:
    place = data.index(b"\xff\xee")
    return data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4], "big") :]


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(photograph(), kind, exif=exif)


PALETTE = photograph().quantize(16)
LINEAR = rgb_profile("linear light", 1.0)
AVIF: dict[str, Any] = {"quality": 100, "subsampling": "4:4:4"}
# Name, file, the largest mean and the largest difference in levels of 255.
FILES: dict[str, tuple[bytes, float, int]] = {
    "JPEG without a profile": (saved(photograph(), "JPEG", quality=75, subsampling=2), 0, 0),
    "JPEG, Display P3": (saved(photograph(), "JPEG", icc_profile=P3), 0.1, 1),
    "JPEG, Adobe RGB": (saved(photograph(), "JPEG", icc_profile=ADOBE), 0.1, 1),
    "PNG, Display P3": (saved(photograph(), "PNG", icc_profile=P3), 0.1, 1),
    "WebP, Display P3": (saved(photograph(), "WEBP", icc_profile=P3), 0.1, 1),
    "AVIF, Display P3": (saved(photograph(), "AVIF", icc_profile=P3, **AVIF), 0.1, 1),
    "PNG, a profile of linear light": (saved(photograph(), "PNG", icc_profile=LINEAR), 0.1, 1),
    "PNG, gAMA 1.0": (png_with({b"gAMA": gama(1.0)}, photograph()), 0.1, 1),
    "PNG, gAMA 1/1.8": (png_with({b"gAMA": gama(1 / 1.8)}, photograph()), 0.1, 1),
    "PNG, gAMA 1/2.2": (png_with({b"gAMA": gama(1 / 2.2)}, photograph()), 0, 0),
    "PNG, gAMA 1.0 and sRGB": (png_with({b"sRGB": b"\0", b"gAMA": gama(1.0)}, photograph()), 0, 0),
    "PNG, a truncated profile": (saved(photograph(), "PNG", icc_profile=P3[:200]), 0, 0),
    "PNG, colours with a profile of greys": (saved(photograph(), "PNG", icc_profile=grey_profile(1.0)), 0, 0),
    "PNG, greys of gamma 2.2": (saved(photograph("L"), "PNG", icc_profile=grey_profile(2.2)), 0.1, 1),
    "JPEG, greys of gamma 2.2": (saved(photograph("L"), "JPEG", icc_profile=grey_profile(2.2)), 0.1, 1),
    "JPEG, greys with a profile of linear light": (saved(photograph("L"), "JPEG", icc_profile=LINEAR), 0.1, 1),
    "JPEG, CMYK": (saved(inked(), "JPEG"), 0.6, 1),
    "JPEG, CMYK without Adobe's marker": (without_adobes_marker(saved(inked(), "JPEG")), 0.6, 1),
    "JPEG, CMYK with a profile": (saved(inked(), "JPEG", icc_profile=ink_profile()), 3, 30),
    "PNG, palette, half transparent": (saved(PALETTE, "PNG", transparency=bytes(range(0, 256, 16))), 0, 0),
    "PNG, palette, Display P3": (saved(PALETTE, "PNG", icc_profile=P3), 0.1, 1),
    "PNG, one transparent grey": (saved(photograph("L"), "PNG", transparency=100), 0, 0),
    "GIF, a transparent colour": (saved(PALETTE, "GIF", transparency=3), 0, 0),
    "PNG, half transparent": (saved(half_transparent(), "PNG"), 0.1, 1),
    "WebP, half transparent": (saved(half_transparent(), "WEBP"), 0.6, 1),
    "AVIF, half transparent": (saved(half_transparent(), "AVIF", **AVIF), 5, 25),
    **{f"{kind}, orientation {n}": (turned(kind, n), 0, 0) for kind in ("JPEG", "PNG", "AVIF") for n in range(1, 9)},
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    pytest.importorskip("playwright")
    executable = chromium_path()
    if executable is None:
        pytest.skip("no Chromium on this machine")
    with open_browser(executable) as browser, open_page(browser) as opened:
        yield opened


def drawn(page: Page, data: bytes) -> NDArray[np.int64]:
    url = f"data:image/{_TYPES.get(data[:2], 'avif')};base64,{base64.b64encode(data).decode()}"
    width, height, text = page.evaluate(DRAW, url)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 3).astype(np.int64)


def read(data: bytes, reading: Reading | None = None) -> NDArray[np.int64]:
    return decode(data, reading or Reading("type")).permute(1, 2, 0).numpy().astype(np.int64)


@pytest.mark.parametrize("name", FILES)
def test_pictures_are_chromiums(name: str, page: Page) -> None:
    data, mean, largest = FILES[name]
    theirs, ours = drawn(page, data), read(data)
    off, before = np.abs(ours - theirs), np.abs(read(data, BEFORE) - theirs)
    print(f"| {name} | {off.mean():.2f} | {off.max()} | {before.mean():.2f} | {before.max()} |")
    assert ours.shape == theirs.shape
    assert off.mean() <= mean
    assert off.max() <= largest


@pytest.mark.parametrize("bits", [8, 16])
def test_deep_pngs_are_chromiums(bits: int, page: Page) -> None:
    codecs = pytest.importorskip("imagecodecs")
    deep = np.asarray(photograph()).astype(np.uint16) * (256 if bits == 16 else 1)
    for channels in (deep, deep[..., 0]):
        data = codecs.png_encode(np.ascontiguousarray(channels.astype(np.uint8 if bits == 8 else np.uint16)))
        assert np.abs(drawn(page, data) - read(data)).max() == 0


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_bits_is_chromiums(bits: int, page: Page) -> None:
    codecs = pytest.importorskip("imagecodecs")
    levels = np.asarray(photograph()).astype(np.uint16) << (bits - 8)
    data = codecs.avif_encode(levels.astype(np.uint8 if bits == 8 else np.uint16), level=100, bitspersample=bits)
    assert np.abs(drawn(page, data) - read(data)).max() <= 1
    assert np.abs(read(data) - np.asarray(photograph())).max() <= 2


def test_what_chromium_follows_and_we_do_not(page: Page) -> None:
    """Primaries of a PNG without a profile, and the code points that replace them; a WebP is turned by us alone."""
    primaries = [0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060]
    chrm = b"".join(round(100_000 * each).to_bytes(4, "big") for each in primaries)
    for chunks in ({b"gAMA": gama(1 / 2.2), b"cHRM": chrm}, {b"cICP": bytes([12, 13, 0, 1])}):
        data = png_with(chunks, photograph())
        assert 10 < np.abs(drawn(page, data) - read(data)).mean() < 15
    assert drawn(page, turned("WEBP", 6)).shape == (48, 80, 3)
    assert read(turned("WEBP", 6)).shape == (80, 48, 3)
