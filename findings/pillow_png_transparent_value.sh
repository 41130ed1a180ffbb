#!/usr/bin/env bash
# Pillow 13.0.0: the transparent colour of a PNG of 2, 4 or 16 bits is compared with pixels of other numbers, so others are transparent.
#
# Behaviour: tRNS names one colour in the file's own depth. 2- and 4-bit grey pixels are scaled to 8 bits on opening, the colour is
# not; 16-bit RGB pixels are cut to 8 bits, the colour is not; 16-bit grey is clipped. 1 and 8 bits are right.
# Wanted: the pixels of the named colour, and only those, have alpha 0 after convert("RGBA").
# Seen: with colour 7 of 4 bits and colour (511, 767, 1023) of 16 bits no pixel is transparent; with colour 256 of 16-bit grey
# [0, 255, 256, 65535] the pixel 0 is, and 256 is not.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import struct
import zlib

import numpy as np
import PIL
from PIL import Image


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, bits: int, colour_type: int, row: bytes, transparent: tuple[int, ...]) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0))
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    return b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


grey = np.array([0, 255, 256, 65535], ">u2").tobytes()
colour = np.array([511, 767, 1023, 9, 9, 9], ">u2").tobytes()
cases = {
    "1 bit grey [0, 1], transparent 1": (png(2, 1, 0, bytes([0b01000000]), (1,)), [255, 0], [255, 0]),
    "2 bits grey [0, 1, 2, 3], transparent 1": (png(4, 2, 0, bytes([0b00011011]), (1,)), [255, 0, 255, 255], [255] * 4),
    "4 bits grey [0, 7], transparent 7": (png(2, 4, 0, bytes([0x07]), (7,)), [255, 0], [255, 255]),
    "8 bits grey [0, 7], transparent 7": (png(2, 8, 0, bytes([0, 7]), (7,)), [255, 0], [255, 0]),
    "16 bits grey [0, 255, 256, 65535], transparent 256": (png(4, 16, 0, grey, (256,)), [255, 255, 0, 255], [0, 255, 255, 255]),
    "16 bits RGB, transparent the first": (png(2, 16, 2, colour, (511, 767, 1023)), [0, 255], [255, 255]),
}
print(f"Pillow {PIL.__version__}")
for name, (data, right, seen) in cases.items():
    with Image.open(io.BytesIO(data)) as image:
        alpha = np.asarray(image.convert("RGBA"))[0, :, 3].tolist()
        print(f"{name}: info {image.info.get('transparency')}, alpha {alpha}, right {right}")
    assert alpha == seen
PY
