"""Transparent pixels lie over white, exactly, in every format that has them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tlearn.data.decoding.decode import decode, pixels_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import UnreadableImageError

ALPHAS = [0, 1, 63, 128, 254, 255]
COLOUR = (200, 40, 120)


def half_transparent() -> Image.Image:
    """Six columns of one colour, of growing opacity."""
    image = Image.new("RGBA", (6, 6), COLOUR)
    image.putalpha(Image.fromarray(np.array([ALPHAS] * 6, np.uint8)))
    return image


def over_white(colour: tuple[int, ...] = COLOUR) -> list[list[int]]:
    """(6, 3), rounded."""
    return [[round((c * a + 255 * (255 - a)) / 255) for c in colour] for a in ALPHAS]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def row(pixels: Any) -> list[list[int]]:
    found: list[list[int]] = pixels[:, 2].T.tolist()
    return found


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TGA", {})])
def test_colours_lie_over_white(kind: str, options: dict[str, Any]) -> None:
    assert (
        np.abs(np.array(row(decode(saved(half_transparent(), kind, **options), Reading()))) - over_white()).max() <= 1
    )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TGA"])
def test_colours_lie_over_white_in_their_own_range_too(kind: str) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    seen = row(decode(saved(half_transparent(), kind, **options), Reading((0, 255))))
    assert np.abs(np.array(seen) - over_white()).max() <= 1


def test_an_avif_lies_over_white_too() -> None:
    large = half_transparent().resize((96, 96), Image.Resampling.NEAREST)
    pixels = decode(saved(large, "AVIF", quality=100, subsampling="4:4:4"), Reading())
    assert np.abs(pixels[:, 48, 8::16].T.numpy() - np.array(over_white())).max() <= 4


@pytest.mark.parametrize("mode", ["LA", "PA", "La", "RGBa"])
def test_every_mode_with_transparency_lies_over_white(mode: str) -> None:
    image = half_transparent()
    if mode in ("LA", "La"):
        grey = image.convert("LA")
        level = grey.getpixel((0, 0))[0]  # type: ignore[index]  # two numbers
        image, wanted = grey.convert(mode), over_white((level, level, level))
    elif mode == "PA":
        palette = Image.new("P", (6, 6), 1)
        palette.putpalette([0, 0, 0, *COLOUR])
        image, wanted = Image.merge("PA", (palette.convert("P"), image.getchannel("A"))), over_white()
        image.putpalette([0, 0, 0, *COLOUR])
    else:
        image, wanted = image.convert(mode), over_white()
    seen = np.array(row(pixels_of(image)))
    assert np.abs(seen - wanted).max() <= 2  # a colour times its opacity has lost bits


def test_the_transparent_colour_of_a_png() -> None:
    grey = Image.fromarray(np.array([[0, 100, 101, 200]] * 4, np.uint8))
    assert row(decode(saved(grey, "PNG", transparency=100), Reading())) == [[0] * 3, [255] * 3, [101] * 3, [200] * 3]
    colours = Image.fromarray(np.array([[(10, 20, 30), (10, 20, 31)]] * 4, np.uint8))
    seen = row(decode(saved(colours, "PNG", transparency=(10, 20, 30)), Reading()))
    assert seen == [[255] * 3, [10, 20, 31]]


@pytest.mark.parametrize("reading", [Reading("type"), Reading((0, 65535))])
def test_the_transparent_grey_of_a_deep_png(reading: Reading) -> None:
    grey = Image.fromarray(np.array([[0, 256 * 100, 256 * 100 + 1, 65535]] * 4, np.uint16))
    data = saved(grey, "PNG", transparency=256 * 100)
    assert row(decode(data, reading)) == [[0] * 3, [255] * 3, [100] * 3, [255] * 3]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_a_palettes_transparency(kind: str) -> None:
    image = Image.new("P", (6, 6), 1)
    image.putpalette([0, 0, 0, *COLOUR, 10, 200, 10])
    image.paste(2, (0, 0, 3, 6))
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind == "WEBP":
        image.info["transparency"] = 2
    data = saved(image.convert("RGBA") if kind == "WEBP" else image, kind, transparency=2, **options)
    assert row(decode(data, Reading())) == [[255] * 3] * 3 + [list(COLOUR)] * 3


def test_a_palettes_half_transparency() -> None:
    image = Image.new("P", (6, 6))
    image.putdata(list(range(6)) * 6)
    image.putpalette(list(COLOUR) * 6)
    seen = row(decode(saved(image, "PNG", transparency=bytes(ALPHAS)), Reading()))
    assert np.abs(np.array(seen) - over_white()).max() <= 1


def tiff_of_four(fourth: np.ndarray, extra: int) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    values = np.concatenate([np.full((64, 64, 3), COLOUR, np.uint8), fourth[..., None].astype(np.uint8)], axis=2)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", extrasamples=[extra])
    return file.getvalue()


ASSOCIATED, UNASSOCIATED, UNSPECIFIED = 1, 2, 0
WHOLE = np.tile(np.repeat(np.array([0, 255]), 32), (64, 1))
BAND = np.tile(np.arange(40, 104), (64, 1))  # near infrared, which some tools call transparency


def test_a_tiffs_fourth_band_is_transparency_where_it_is_called_so_and_looks_so() -> None:
    pixels = decode(tiff_of_four(WHOLE, UNASSOCIATED), Reading())
    assert pixels[:, 5, 5].tolist() == [255, 255, 255]
    assert pixels[:, 5, 50].tolist() == list(COLOUR)
    for fourth, extra in ((BAND, UNASSOCIATED), (BAND, UNSPECIFIED), (WHOLE, UNSPECIFIED)):
        with pytest.raises(UnreadableImageError, match="4 bands of 8 bits"):
            decode(tiff_of_four(fourth, extra), Reading())
        chosen = decode(tiff_of_four(fourth, extra), Reading(channels=(1, 2, 3)))
        assert (chosen.flatten(1).T.numpy() == COLOUR).all()
