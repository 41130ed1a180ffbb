"""Files that mean harm: pickles that would run a command, pictures that would fill the memory, mutated bytes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class Toucher:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def pickles(made: Path) -> dict[str, bytes]:
    """Pickles that make a file when ``pickle`` reads them, each by another way of its machine."""
    command, path = f"touch {made}".encode(), str(made).encode()

    def short(text: str) -> bytes:
        return b"\x8c" + bytes([len(text)]) + text.encode()

    return {
        "reduce": b"cos\nsystem\n(V" + command + b"\ntR.",
        "stack_global": b"\x80\x04" + short("posix") + short("system") + b"\x93" + short(command.decode()) + b"\x85R.",
        "inst": b"(V" + command + b"\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nV" + command + b"\no.",
        "exec": b"cbuiltins\nexec\n(Vopen('" + path + b"', 'w').close()\ntR.",
        "method": b"\x80\x04cpathlib\nPath.touch\ncpathlib\nPath\n(V" + path + b"\ntR\x85R.",
        "build": b"ctypes\nSimpleNamespace\n)R}V__setstate__\ncos\nsystem\nsbV" + command + b"\nb.",
    }


def torch_zip(pickled: bytes) -> bytes:
    """Put a pickle where ``torch.save`` puts its own."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"archive/{name}", content)
    return whole.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, inside: bytes, extra: bytes = b"") -> bytes:
    """An RGB file that claims a size, whatever is inside."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start, data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(inside, 9))
    return start + extra + data + _chunk(b"IEND", b"")


def _gif(width: int, height: int, rest: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" + rest


def _tiff(width: int, height: int, *more: tuple[int, int, int, int], following: int = 0) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 100), *more]
    table = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + struct.pack("<I", following) + bytes(200)


def _jpeg(width: int, height: int, tag: bytes = b"") -> bytes:
    whole = encoded("JPEG")
    place = whole.find(b"\xff\xc0") + 5
    sized = whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + bytes(4)
    return sized[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + sized[2:] if tag else sized


def encoded(kind: str, size_px: int = 12, **options: Any) -> bytes:
    """A small picture of noise."""
    whole = io.BytesIO()
    noise = np.random.default_rng(size_px).integers(0, 255, (size_px, size_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, kind, **options)
    return whole.getvalue()


@cache
def bombs() -> dict[str, bytes]:
    """Files that claim 3,600 or 14,400 million pixels, or inflate to 200 MB; none gives a picture."""
    zeros, side = bytes(200_000_000), 60_000
    webp = b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14) + bytes(5)
    return {
        "claims.png": png(side, side, bytes(100)),
        "text.png": png(8, 8, bytes(200), _chunk(b"zTXt", b"a\0\0" + zlib.compress(zeros, 9))),
        "profile.png": png(8, 8, bytes(200), _chunk(b"iCCP", b"a\0\0" + zlib.compress(zeros, 9))),
        "short.png": png(8, 8, bytes(10))[:-20],
        "claims.gif": _gif(side, side, b",\0\0\0\0" + struct.pack("<HH", side, side) + b"\0\x02\x02D\x01\0;"),
        "frame.gif": _gif(8, 8, b"," + struct.pack("<HHHH", side, side, side, side) + b"\0\x02\x02D\x01\0;"),
        "endless.gif": _gif(8, 8, b"!\xfe" + (b"\xff" + b"x" * 255) * 40_000),
        "claims.tif": _tiff(side, side),
        "claims.bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(50),
        "claims.webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<I", len(webp)) + webp,
        "half.webp": encoded("WEBP", 64)[:200],
        "claims.ppm": b"P6 60000 60000 255\n" + bytes(100),
        "claims.tga": bytes([0, 0, 10, *bytes(9)]) + struct.pack("<HH", side, side) + b"\x18\0" + b"\xff\0\0\0" * 20,
        "claims.jpg": _jpeg(side, side),
    }


@cache
def harmless_bombs() -> dict[str, bytes]:
    """Files with the same tricks where they cost nothing: a decoder may show the picture, or not."""
    return {
        "inflates.png": png(8, 8, bytes(200_000_000)),
        "loop.tif": _tiff(8, 8, following=8),
        "nested.tif": _tiff(8, 8, (34665, 4, 1, 8)),
        "count.tif": _tiff(8, 8, (700, 1, 0xFFFFFFF0, 8)),
        "nested.jpg": _jpeg(12, 12, struct.pack("<HHII", 0x8769, 4, 1, 8)),
        "count.jpg": _jpeg(12, 12, struct.pack("<HHII", 0x112, 5, 0x7FFFFFFF, 8)),
    }


def mutated(data: bytes, others: Sequence[bytes], draws: np.random.Generator) -> bytes:
    """Change, repeat, drop or borrow a few bytes."""
    found = bytearray(data)
    for _ in range(draws.integers(1, 6)):
        if not found:
            break
        place, length = int(draws.integers(len(found))), int(draws.integers(1, 20))
        match int(draws.integers(6)):
            case 0:
                found[place] = int(draws.integers(256))
            case 1:
                found[place] ^= 1 << int(draws.integers(8))
            case 2:
                found[place : place + length % 5] = bytes([(0, 127, 128, 255)[length % 4]]) * (length % 5)
            case 3:
                del found[place : place + length]
            case 4:
                other = others[int(draws.integers(len(others)))]
                start = int(draws.integers(len(other)))
                found[place:place] = other[start : start + length]
            case _:
                del found[place if length < 6 else -1 :]
    return bytes(found)
