#!/usr/bin/env bash
# Pillow 13.0.0: int8 and large uint32 numbers wrap without a word, in Image.fromarray and in TIFF; int16 and int32 are right.
#
# Behaviour: fromarray of int8 gives mode I (signed, 32 bits), which could hold -100, and stores 156. An int8 TIFF opens in mode L as 156.
# uint32 goes to the signed mode I and becomes negative above 2147483647, in both.
# Wanted: -100 in mode I; an error for what mode I cannot hold, as uint64 has one.
# Seen: int8 -100 -> 156 (fromarray, mode I; TIFF, mode L); uint32 4000000000 -> -294967296 in both; int16 -100 -> -100.
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

print(f"Pillow {PIL.__version__}")
for dtype, value, expected in (("int8", -100, 156), ("int16", -100, -100), ("uint32", 4_000_000_000, -294_967_296)):
    pixels = np.full((8, 8), value, dtype)
    tifffile.imwrite("values.tif", pixels)
    assert np.array_equal(tifffile.imread("values.tif"), pixels)
    made, opened = Image.fromarray(pixels), Image.open("values.tif")
    read = [np.asarray(image)[0, 0].item() for image in (made, opened)]
    print(f"{dtype} {value}: fromarray, mode {made.mode}: {read[0]}; TIFF, mode {opened.mode}: {read[1]}")
    assert read == [expected, expected]
PY
