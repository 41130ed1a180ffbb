#!/usr/bin/env bash
# Pillow 13.0.0: a 12-bit grey picture has white at 4095, 65520 or 65535, by the format that holds it.
#
# Behaviour: TIFF (12 bits packed or in 16) and PNG keep the numbers. JPEG 2000 of 12 bits is shifted up by four bits, and PGM with a
# maximum of 4095 is stretched to 65535. The mode says I;16 in the first three; no field of the opened picture says which was done.
# Wanted: one rule, or the number of bits in image.info.
# Seen: value 4095 comes back as 4095 (TIFF, PNG with sBIT 12), 65520 (JPEG 2000), 65535 (PGM); value 1 as 1, 1, 16, 16.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import PIL
import tifffile
from PIL import Image

pixels = np.zeros((64, 64), np.uint16)
pixels[:, 1], pixels[:, 2] = 1, 4095


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_twelve() -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 0, 0, 0, 0)) + chunk(b"sBIT", bytes([12]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


tifffile.imwrite("deep.tif", pixels)
files = {
    "TIFF": (Path("deep.tif").read_bytes(), [0, 1, 4095]),
    "PNG": (png_twelve(), [0, 1, 4095]),
    "JPEG 2000": (imagecodecs.jpeg2k_encode(pixels, level=0, bitspersample=12, reversible=True), [0, 16, 65520]),
    "PGM": (b"P5\n64 64\n4095\n" + pixels.astype(">u2").tobytes(), [0, 16, 65535]),
}
assert np.array_equal(imagecodecs.jpeg2k_decode(files["JPEG 2000"][0]), pixels)
print(f"Pillow {PIL.__version__}")
for name, (data, expected) in files.items():
    with Image.open(io.BytesIO(data)) as image:
        read = np.asarray(image)[0, :3].tolist()
        print(f"{name}: [0, 1, 4095] -> {read}, mode {image.mode}, info {sorted(image.info)}")
    assert read == expected
PY
