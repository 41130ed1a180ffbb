"""The markers of a JPEG file before its pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

JPEG = b"\xff\xd8\xff"
_BASELINE, _EXTENDED = 0xC0, 0xC1
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0x01, *range(0xD0, 0xD9))
_MOST_MARKERS = 10_000


@dataclass(frozen=True)
class JpegFrame:
    """What the frame's marker says.

    Attributes:
        bits: Of a number.
        width: In pixels.
        height: In pixels.
        channels: How many numbers a pixel has.
        is_streamed: A decoder needs a few lines at a time: no later scan adds to the whole picture.
    """

    bits: int
    width: int
    height: int
    channels: int
    is_streamed: bool


def jpeg_frame(file: BinaryIO) -> JpegFrame | None:
    """Read the markers up to the first scan; ``None`` if they are damaged. The file is left at its start."""
    file.seek(2)
    frame, kind = None, 0
    for _ in range(_MOST_MARKERS):
        marker = _next_marker(file)
        if marker in _ALONE:
            continue
        length = file.read(2)
        if marker in (None, _END) or len(length) < 2:
            break
        content = file.read(int.from_bytes(length, "big") - 2)
        if marker in _FRAMES and len(content) >= 6:
            frame, kind = struct.unpack_from(">BHHB", content), marker
        elif marker == _SCAN and frame is not None and content:
            bits, height, width, channels = frame
            file.seek(0)
            is_streamed = kind in (_BASELINE, _EXTENDED) and content[0] == channels
            return JpegFrame(bits, width, height, channels, is_streamed)
    file.seek(0)
    return None


def _next_marker(file: BinaryIO) -> int | None:
    """Return the second byte of the next marker; fill bytes are passed over."""
    if file.read(1) != b"\xff":
        return None
    while (byte := file.read(1)) == b"\xff":
        pass
    return byte[0] if byte else None
