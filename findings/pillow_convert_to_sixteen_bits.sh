#!/usr/bin/env bash
# Pillow 13.0.0: convert("I;16") keeps the numbers of mode I and cuts those of modes F and I;16B at 255.
#
# Behaviour: from I (32-bit integers) values up to 65535 stay. From F (floats) and from I;16B (the same 16 bits in big-endian order)
# the values pass through 8 bits first: all above 255 become 255, without a word. convert("I") is right from all of them.
# Wanted: the same 16-bit numbers from all three, since all of them fit.
# Seen: 20000 -> 20000 from I, 255 from F, 255 from I;16B.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import PIL
import tifffile
from PIL import Image

pixels = np.full((8, 8), 20000, np.uint16)
tifffile.imwrite("deep.tif", pixels, byteorder=">")
print(f"Pillow {PIL.__version__}")
sources = (Image.fromarray(pixels.astype(np.int32)), Image.fromarray(pixels.astype(np.float32)), Image.open("deep.tif"))
for image, expected in zip(sources, (20000, 255, 255), strict=True):
    deep = np.asarray(image.convert("I;16"))[0, 0].item()
    wide = np.asarray(image.convert("I"))[0, 0].item()
    print(f'from {image.mode}: convert("I;16") {deep}, convert("I") {wide}')
    assert (deep, wide) == (expected, 20000)
PY
