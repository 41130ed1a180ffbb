"""JPEG XL: what its first bytes say; imagecodecs decodes it, of the extra ``science``.

The fields and their order are those of ISO/IEC 18181-1, annexes B.2 (sizes) and D (image header).
"""

from __future__ import annotations

from typing import NamedTuple

from tlearn.data.decoding.science_extra import INSTALL

MISSING = f"JPEG XL, which needs imagecodecs: {INSTALL}"
ENDINGS = (".jxl",)
STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")
_MARK = b"\xff\x0a"  # of a codestream
_BOXES = (b"jxlc", b"jxlp")  # that hold it, whole or in parts
_PART_NUMBER = 4  # bytes before a part
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of width to height
_SIZES, _BITS, _CHANNELS = (9, 13, 18, 30), (8, 10, 12), (0, 1)


class JpegXl(NamedTuple):
    """What a file says of its numbers.

    Attributes:
        width: In pixels, as stored.
        height: In pixels, as stored.
        bits: Of a number.
        is_float: Numbers are floats.
    """

    width: int
    height: int
    bits: int
    is_float: bool


class _Bits:
    """Reads bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._number, self._place = int.from_bytes(data, "little"), 0

    def read(self, count: int) -> int:
        value = (self._number >> self._place) & ((1 << count) - 1)
        self._place += count
        return value

    def size(self, is_small: bool) -> int:
        return (self.read(5) + 1) * 8 if is_small else self.read(_SIZES[self.read(2)]) + 1

    def sizes(self) -> tuple[int, int]:
        """Return width and height."""
        is_small = bool(self.read(1))
        height, ratio = self.size(is_small), self.read(3)
        if not ratio:
            return self.size(is_small), height
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height


def jpeg_xl_of(start: bytes) -> JpegXl | None:
    """Read the header in the first bytes of a file; ``None`` if it is not there.

    Previews and animations come before the bits: of such files these are taken for 8, and the decoded numbers tell.
    """
    place = 0 if start.startswith(_MARK) else _codestream_in(start)
    if place is None or start[place : place + 2] != _MARK or len(start) < place + 16:
        return None
    bits = _Bits(start[place + 2 : place + 66])
    width, height = bits.sizes()
    is_usual = bool(bits.read(1))
    if is_usual:
        return JpegXl(width, height, 8, is_float=False)
    if bits.read(1):  # more fields: orientation, a size to show, a preview, an animation
        bits.read(3)
        if bits.read(1):
            bits.sizes()
        if bits.read(1) or bits.read(1):
            return JpegXl(width, height, 8, is_float=False)
    if bits.read(1):
        return JpegXl(width, height, 32, is_float=True)
    kind = bits.read(2)
    return JpegXl(width, height, _BITS[kind] if kind < 3 else bits.read(6) + 1, is_float=False)


def _codestream_in(start: bytes) -> int | None:
    """Return the place of the codestream in a container of boxes."""
    place = 0
    while place + 16 <= len(start):
        size, kind = int.from_bytes(start[place : place + 4], "big"), start[place + 4 : place + 8]
        head = 16 if size == 1 else 8
        if kind in _BOXES:
            return place + head + (_PART_NUMBER if kind == b"jxlp" else 0)
        if size == 0:  # the rest of the file
            return None
        place += int.from_bytes(start[place + 8 : place + 16], "big") if size == 1 else max(size, 8)
    return None
