#!/usr/bin/env bash
# torchvision 0.29.1: decode_png of a grey picture of 1, 2 or 4 bits as RGB_ALPHA fills alpha with 1, 3 or 15 in place of 255.
#
# Behaviour: the samples are stretched to 8 bits, the added alpha is opaque in the file's own depth only. Whoever blends by it gets an
# empty picture. 8 and 16 bits are opaque. A transparent colour (tRNS) of a grey picture is dropped: it has alpha 255 as all others.
# Wanted: 255 where the file has no transparency, 0 for the transparent colour; Pillow gives both.
# Seen: alpha 1, 3, 15, 255 for 1, 2, 4, 8 bits. Of [0, 7] with 7 transparent alpha 255 and 255; Pillow 255 and 0.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import struct
import warnings
import zlib

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.io import ImageReadMode, decode_png

warnings.simplefilter("ignore")  # torchvision's decoders are deprecated


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits: int, row: bytes, transparent: int | None = None) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0))
    key = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    return b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


def alphas(data: bytes) -> tuple[list[list[int]], list[list[int]]]:
    tensor = decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB_ALPHA)
    with Image.open(io.BytesIO(data)) as image:
        return tensor[[0, 3], 0].tolist(), np.asarray(image.convert("RGBA"))[0][:, [0, 3]].T.tolist()


print(f"torchvision {torchvision.__version__}; red and alpha of two pixels, black and white")
for bits, row, alpha in ((1, b"\x40", 1), (2, b"\x30", 3), (4, b"\x0f", 15), (8, b"\x00\xff", 255)):
    seen, right = alphas(png(bits, row))
    print(f"{bits} bits: torchvision {seen}, Pillow {right}")
    assert right == [[0, 255], [255, 255]]
    assert seen == [[0, 255], [alpha, alpha]]
seen, right = alphas(png(8, bytes([0, 7]), transparent=7))
print(f"8 bits, 7 transparent: torchvision {seen}, Pillow {right}")
assert (seen, right) == ([[0, 7], [255, 255]], [[0, 7], [255, 0]])
PY
