#!/usr/bin/env bash
# imagecodecs 2026.3.6, Pillow 13.0.0: the same CMYK inks are written to JPEG in opposite senses, both with Adobe's marker.
#
# Behaviour: Pillow stores 255 - ink, as Adobe's programs do, and turns it back on reading, with the marker or without it.
# imagecodecs stores the ink, adds the same marker, and turns nothing. Each reads its own files right and the other's as a
# negative. The marker, which is meant to tell, is the same in both.
# Wanted: one sense for files with Adobe's marker.
# Seen: inks (10, 60, 200, 30): Pillow's file is (10, 60, 200, 30) to Pillow and (245, 195, 55, 225) to imagecodecs; imagecodecs's
# file is the other way round.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io

import imagecodecs
import numpy as np
import PIL
from PIL import Image

INKS, NEGATIVE = (10, 60, 200, 30), (245, 195, 55, 225)

print(f"Pillow {PIL.__version__}, imagecodecs {imagecodecs.__version__}")
pixels = np.full((16, 16, 4), INKS, np.uint8)
buffer = io.BytesIO()
Image.fromarray(pixels, "CMYK").save(buffer, "JPEG", quality=100)
files = {
    "Pillow": (buffer.getvalue(), INKS, NEGATIVE),
    "imagecodecs": (imagecodecs.jpeg8_encode(pixels, level=100, colorspace="CMYK", outcolorspace="CMYK"), NEGATIVE, INKS),
}
for writer, (data, by_pillow, by_imagecodecs) in files.items():
    start = data.index(b"Adobe")
    marker = data[start : start + 12].hex()
    with Image.open(io.BytesIO(data)) as image:
        pillow = image.getpixel((0, 0))
        mode, rgb = image.mode, image.convert("RGB").getpixel((0, 0))
    other = tuple(imagecodecs.jpeg8_decode(data)[0, 0].tolist())
    print(f"written by {writer} (marker {marker}): Pillow {mode} {pillow}, RGB {rgb}; imagecodecs {other}")
    assert mode == "CMYK"
    assert (pillow, other) == (by_pillow, by_imagecodecs)
assert len({data[data.index(b"Adobe") :][:12] for data, *_ in files.values()}) == 1
PY
