"""The rule by which a picture file is read, in words: an export carries it, beside the same rule in numbers."""

from __future__ import annotations

from tlearn.data.decoding.reading_options import Range, Reading
from tlearn.data.files.reading import Framing

_FIRST = "Pillow: ImageOps.exif_transpose, transparent pixels over white, convert('RGB')"
_AS_THEY_ARE = "Pillow: ImageOps.exif_transpose, transparent pixels over white, the channels of the file"
_STEPS = (
    "a number v becomes floor((v - low) * 256 / (high - low + 1)), within 0 to 255 (float: without the + 1; a range of "
    "fewer than 256 whole numbers: round((v - low) * 255 / (high - low)))"
)
_TURNED = "where TIFF's PhotometricInterpretation says that white is 0, 255 less that"


def how_to_read(framing: Framing) -> str:
    """Say how a picture file becomes the uint8 square that an exported network takes."""
    reading = framing.reading
    parts = [
        _eight_bits(reading),
        _colours(reading),
        _more_bits(reading),
        _plane(reading),
        _channels(reading),
        _square(framing),
    ]
    return "; ".join(part for part in parts if part)


def _eight_bits(reading: Reading) -> str:
    first = _FIRST if reading.is_coloured else _AS_THEY_ARE
    return f"8 bits: {first}" + ("" if reading.intensity in ("auto", "type") else ", then as more bits")


def _colours(reading: Reading) -> str:
    if not (reading.converts_colour and reading.is_coloured):
        return ""
    return (
        "colours become sRGB: by the ICC profile in the file (LittleCMS, relative colorimetric, black point "
        "compensation; not if it is sRGB within 3 levels), of a PNG of 8 bits without one by its gAMA, if that is not "
        "1 / 2.2 within 5 %"
    )


def _more_bits(reading: Reading) -> str:
    rest = "of all that the type can hold"
    if isinstance(reading.intensity, tuple):
        limits = _range(reading.intensity)
    elif reading.intensity == "percentile":
        limits = "from the 0.1 to the 99.9 percentile of each picture"
    elif reading.intensity == "auto" and reading.ranges:
        known = ", ".join(f"{_range(limits)} of {kind}" for kind, limits in reading.ranges.items())
        limits = f"{known}; of another type {rest.removeprefix('of ')}"
    else:
        limits = rest
    return f"more bits: {_STEPS}, with the range {limits}; {_TURNED}; what was not measured (NaN, GDAL's nodata) is 0"


def _range(limits: Range) -> str:
    return f"[{limits[0]:.10g}, {limits[1]:.10g}]"


def _plane(reading: Reading) -> str:
    named = {"max": "the largest number of all planes", "mean": "the mean of all planes", "first": "the first plane"}
    named |= {"middle": "plane (count + 1) // 2"}
    return f"of a stack {named.get(str(reading.page), f'plane {reading.page}')} (from 1; thumbnails are no planes)"


def _channels(reading: Reading) -> str:
    if reading.channels is None:
        return "grey is repeated" if reading.num_channels == 3 else f"{reading.num_channels} channels"
    return f"channels: bands {', '.join(map(str, reading.channels))} (numbers from 1)"


def _square(framing: Framing) -> str:
    side, colour = int(framing.size_px), "0" if framing.reading.num_channels != 3 else "colour (124, 116, 104)"
    if framing.crop_mode == "letterbox":
        return (
            f"resize so that the long side is {side} (bilinear, the short side rounded), and paste it at "
            f"(({side} - width) // 2, ({side} - height) // 2) on a {side} x {side} square of {colour}"
        )
    return (
        f"cut out the centre square of side c = round({framing.crop_pct:g} * short side) at offsets "
        f"((width - c) // 2, (height - c) // 2), resize it to {side} x {side} (bilinear)"
    )
