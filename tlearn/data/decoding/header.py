"""What the first bytes of a picture file say of its numbers, before they are decoded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tlearn.data.decoding.foreign_formats import unread_by_content
from tlearn.data.decoding.formats.jpeg_xl import STARTS as JPEG_XL
from tlearn.data.decoding.formats.jpeg_xl import jpeg_xl_of
from tlearn.data.decoding.jpeg_header import JPEG, jpeg_frame
from tlearn.data.decoding.samples import UnreadableImageError
from tlearn.data.decoding.science_extra import science_version
from tlearn.data.decoding.tiff.header import LARGE_MEGAPIXELS, TiffHeader, is_tiff, tiff_header

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_2000 = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_SIZ = b"\xff\x51"  # the marker of a JPEG 2000 codestream before its size and components
_COMMENT = re.compile(rb"#[^\n]*")  # of a PGM file
_SRGB, _GREY = 16, 17  # colour spaces of JPEG 2000, by number
_SEARCHED = 4096  # bytes in which it lies

Decoder = Literal["pillow", "samples", "science"]


@dataclass(frozen=True)
class Header:
    """What decides who decodes a file.

    Attributes:
        decoder: ``pillow``: Pillow reads it right as 8 bits. ``samples``: Pillow reads its numbers right, which are
            more than 8 bits. ``science``: tifffile or imagecodecs.
        what: Bits and channels in words, such as ``5 bands of 16 bits``.
        channels: How many numbers a pixel has; 0 where that is not known before it is decoded.
        bits: Bits of a number.
        format: Pillow's name of the format; empty where Pillow alone reads it.
        tiff: The tags of a TIFF file.
        size: Width and height in pixels, as stored; (0, 0) where they are not known before Pillow opens the file.
        has_alpha: The last channel is transparency.
        eight_bits_suffice: Pillow takes the upper eight bits of each number, which is all that the range of the type
            leaves of them.
    """

    decoder: Decoder = "pillow"
    what: str = ""
    channels: int = 3
    bits: int = 8
    format: str = ""
    tiff: TiffHeader | None = None
    size: tuple[int, int] = (0, 0)
    has_alpha: bool = False
    eight_bits_suffice: bool = False

    @property
    def first_page(self) -> int:
        """Return the number of the first page that is a plane, from 0: a thumbnail may come before it."""
        return self.tiff.pages[0] if self.tiff else 0


def header_of(file: BinaryIO, max_megapixels: float = LARGE_MEGAPIXELS) -> Header:
    """Read what a picture file says of its numbers; the file is left at its start.

    Args:
        file: The file.
        max_megapixels: The limit of pixels: larger TIFF files are read at a fraction, which Pillow does not.

    Raises:
        UnreadableImageError: It is of a format that is not read, even if Pillow would make something of it.
    """
    file.seek(0)
    start = file.read(_SEARCHED)
    file.seek(0)
    if start.startswith(JPEG):
        return _of_jpeg(file)
    if start.startswith(_PNG):
        return _of_png(start)
    reason = unread_by_content(start)
    if reason:
        raise UnreadableImageError(reason)
    if is_tiff(start):
        tiff = tiff_header(file)
        file.seek(0)
        return Header(
            _decoder_of(tiff, max_megapixels),
            tiff.what,
            tiff.channels,
            tiff.bits,
            "TIFF",
            tiff,
            (tiff.width, tiff.height),
        )
    if start.startswith(_JPEG_2000):
        return _of_jpeg_2000(start)
    if start.startswith(JPEG_XL):
        return _of_jpeg_xl(start)
    if start.startswith(b"P5"):
        return _of_pgm(start)
    return Header()


def _of_jpeg_xl(start: bytes) -> Header:
    about = jpeg_xl_of(start)
    if about is None:
        raise UnreadableImageError("damaged (no header of JPEG XL)")
    bits = 8 if about.bits <= 8 else 32 if about.is_float else 16  # libjxl spreads 9 to 15 bits over 16
    size = about.width, about.height
    return Header("science", "JPEG XL", channels=0, bits=bits, format="JPEGXL", size=size, has_alpha=True)


def _of_pgm(start: bytes) -> Header:
    """Pillow scales more than 8 bits to 16, and tells it by the mode; only a whole number of bits is scaled back."""
    words = _COMMENT.sub(b" ", start).split(None, 4)
    most = int(words[3]) if len(words) > 3 and words[3].isdigit() else 0
    bits = most.bit_length() if most == 2 ** most.bit_length() - 1 and most > 255 else 16
    return Header("samples", "grey PGM", 1, bits, "PPM")


def _of_png(start: bytes) -> Header:
    bits, colour = start[24], start[25]
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 3)
    if bits < 16:
        return Header("pillow", channels=channels, bits=8)
    if colour == 0:
        return Header("samples", "grey PNG of 16 bits", 1, 16, "PNG")
    width, height = struct.unpack_from(">II", start, 16)
    what, has_key = f"PNG of {channels} channels of 16 bits", b"tRNS" in start.partition(b"IDAT")[0]
    return Header(
        *("science", what, channels + has_key, 16, "PNG"),
        size=(width, height),
        has_alpha=has_key or channels in (2, 4),
        eight_bits_suffice=not has_key,  # the key, the colour that is transparent, is one of 16 bits
    )


def _of_jpeg(file: BinaryIO) -> Header:
    frame = jpeg_frame(file)
    if frame is None or not 8 < frame.bits <= 16:
        return Header(channels=frame.channels, size=(frame.width, frame.height)) if frame else Header()
    what = f"JPEG of {frame.bits} bits"
    return Header("science", what, frame.channels, frame.bits, "JPEG", size=(frame.width, frame.height))


def _of_jpeg_2000(start: bytes) -> Header:
    place = start.find(_SIZ)
    if place < 0 or len(start) < place + 43:
        return Header()
    right, bottom, left, top = struct.unpack_from(">4I", start, place + 6)
    (channels,) = struct.unpack_from(">H", start, place + 38)
    bits, is_signed = (start[place + 40] & 0x7F) + 1, start[place + 40] >> 7
    if bits <= 8 and channels <= 4:
        return Header(channels=channels)
    # Pillow shifts grey numbers to 16 bits; of colours of more than 8 bits it makes nonsense.
    decoder: Decoder = "samples" if channels == 1 and not is_signed else "science"
    numbers = f"int{bits}" if is_signed else f"{bits} bits"
    return Header(
        *(decoder, f"JPEG 2000 of {channels} channels of {numbers}", channels, bits, "JPEG2000"),
        size=(right - left, bottom - top),
        has_alpha=_has_alpha(start[:place], channels),
    )


def _has_alpha(boxes: bytes, channels: int) -> bool:
    """Tell whether the boxes before a codestream say that its last channel is opacity."""
    place = boxes.find(b"cdef")
    if place >= 0:
        kinds = [struct.unpack_from(">HH", boxes, at) for at in range(place + 6, len(boxes) - 6, 6)][:channels]
        return (channels - 1, 1) in kinds or (channels - 1, 2) in kinds
    place = boxes.find(b"colr")
    space = int.from_bytes(boxes[place + 7 : place + 11], "big") if place >= 0 and boxes[place + 4] == 1 else 0
    return channels == {_SRGB: 4, _GREY: 2}.get(space)


def _decoder_of(tiff: TiffHeader, max_megapixels: float) -> Decoder:
    is_large = tiff.width * tiff.height > min(LARGE_MEGAPIXELS, max_megapixels) * 1e6
    if tiff.is_hyperstack or not tiff.is_known_to_pillow or (is_large and tiff.is_plain and science_version()):
        return "science"
    is_plain = tiff.kind == "uint" and tiff.bits <= 8 and tiff.alpha is None and not tiff.nodata and tiff.channels < 4
    if is_plain or tiff.is_cmyk:
        return "pillow"
    return "samples" if tiff.channels == 1 or tiff.bits <= 8 else "science"
