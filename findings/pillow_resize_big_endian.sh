#!/usr/bin/env bash
# Pillow 13.0.0: resize() of a big-endian 16-bit picture (I;16B) makes values that the picture does not have.
#
# Behaviour: big-endian 16-bit grey TIFF opens as I;16B. resize() with a filter treats the upper byte as the lower one: where two
# different values meet, or where rounding carries, the result is far away. The same file in little-endian order is right.
# Wanted: the same pixels from both byte orders, or an error like that of getextrema().
# Seen: a picture of 20000 and 20100 halved by BILINEAR has 20000, 20100, 52780 and 52855; from the little-endian file all values
# lie between 20000 and 20100.
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

pixels = np.full((32, 32), 20000, np.uint16)
pixels[:, 16:] = 20100
print(f"Pillow {PIL.__version__}")
values = {}
for order in "<>":
    tifffile.imwrite("deep.tif", pixels, byteorder=order)
    with Image.open("deep.tif") as image:
        assert np.array_equal(np.asarray(image), pixels)
        values[order] = np.unique(np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))).tolist()
        print(f"byte order {order}, mode {image.mode}: halved {values[order]}")
assert all(20000 <= value <= 20100 for value in values["<"])
assert values[">"] == [20000, 20100, 52780, 52855]
PY
