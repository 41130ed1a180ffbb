"""What the first bytes of a picture file say of its numbers, before they are decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tlearn.data.decoding.tiff_header import TiffHeader, is_tiff, tiff_header

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_2000 = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_SIZ = b"\xff\x51"  # the marker of a JPEG 2000 codestream before its size and components
_SEARCHED = 4096  # bytes in which it lies

Decoder = Literal["pillow", "samples", "science"]


@dataclass(frozen=True)
class Header:
    """What decides who decodes a file.

    Attributes:
        decoder: ``pillow``: Pillow reads it right as 8 bits. ``samples``: Pillow reads its numbers right, which are
            more than 8 bits. ``science``: tifffile or imagecodecs.
        what: Bits and channels in words, such as ``5 bands of 16 bits``.
        channels: How many numbers a pixel has.
        bits: Bits of a number.
        format: Pillow's name of the format; empty where Pillow alone reads it.
        tiff: The tags of a TIFF file.
        eight_bits_suffice: Pillow takes the upper eight bits of each number, which is all that the range of the type
            leaves of them.
    """

    decoder: Decoder = "pillow"
    what: str = ""
    channels: int = 3
    bits: int = 8
    format: str = ""
    tiff: TiffHeader | None = None
    eight_bits_suffice: bool = False


def header_of(file: BinaryIO) -> Header:
    """Read what a picture file says of its numbers; the file is left at its start."""
    start = file.read(_SEARCHED)
    file.seek(0)
    if start.startswith(_PNG):
        return _of_png(start)
    if is_tiff(start):
        tiff = tiff_header(file)
        file.seek(0)
        return Header(_decoder_of(tiff), tiff.what, tiff.channels, tiff.bits, "TIFF", tiff)
    if start.startswith(_JPEG_2000):
        return _of_jpeg_2000(start)
    if start.startswith(b"P5"):  # Pillow scales more than 8 bits to 16, and tells it by the mode
        return Header("samples", "grey PGM", 1, 16, "PPM")
    return Header()


def _of_png(start: bytes) -> Header:
    bits, colour = start[24], start[25]
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 3)
    if bits < 16:
        return Header("pillow", channels=channels, bits=8)
    if colour == 0:
        return Header("samples", "grey PNG of 16 bits", 1, 16, "PNG")
    return Header("science", f"PNG of {channels} channels of 16 bits", channels, 16, "PNG", eight_bits_suffice=True)


def _of_jpeg_2000(start: bytes) -> Header:
    place = start.find(_SIZ)
    if place < 0 or len(start) < place + 43:
        return Header()
    (channels,) = struct.unpack_from(">H", start, place + 38)
    bits = (start[place + 40] & 0x7F) + 1
    if bits <= 8:
        return Header(channels=channels)
    # Pillow shifts grey numbers to 16 bits; of colours of more than 8 bits it makes nonsense.
    decoder: Decoder = "samples" if channels == 1 and not start[place + 40] & 0x80 else "science"
    return Header(decoder, f"JPEG 2000 of {channels} channels of {bits} bits", channels, bits, "JPEG2000")


def _decoder_of(tiff: TiffHeader) -> Decoder:
    if tiff.is_hyperstack or not tiff.is_known_to_pillow:
        return "science"
    is_plain = tiff.kind == "uint" and tiff.bits <= 8 and tiff.alpha is None and not tiff.nodata and tiff.channels < 4
    if is_plain or tiff.is_cmyk:
        return "pillow"
    return "samples" if tiff.channels == 1 or tiff.bits <= 8 else "science"
