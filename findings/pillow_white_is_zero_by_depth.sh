#!/usr/bin/env bash
# Pillow 13.0.0: "white is zero" of a TIFF is turned for 1 to 8 bits, and not for 16 bits or floats, which stay negatives.
#
# Behaviour: PhotometricInterpretation 0. A grey scan of 8 bits is turned to the usual sense on opening; the same scan of 16 bits
# opens in mode I;16 with the file's own numbers, and so does float32. Nothing in the opened picture but the tag says so. The same
# 16 bits in big-endian order are refused as no image.
# Wanted: one sense for one tag.
# Seen: 8 bits 10 -> 245; 16 bits 2570 -> 2570; float32 10.0 -> 10.0; 16 bits big-endian: UnidentifiedImageError.
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
from PIL import Image, UnidentifiedImageError

print(f"Pillow {PIL.__version__}")
for dtype, value, expected in (("uint8", 10, 245), ("uint16", 2570, 2570), ("float32", 10.0, 10.0)):
    tifffile.imwrite("negative.tif", np.full((8, 8), value, dtype), photometric="miniswhite")
    with Image.open("negative.tif") as image:
        read = np.asarray(image)[0, 0].item()
        print(f"{dtype}, mode {image.mode}, tag {image.tag_v2[262]}: {value} -> {read}")
    assert read == expected
tifffile.imwrite("negative.tif", np.full((8, 8), 2570, np.uint16), photometric="miniswhite", byteorder=">")
try:
    Image.open("negative.tif")
except UnidentifiedImageError as error:
    print("uint16, big-endian:", error)
else:
    raise AssertionError("a big-endian one is opened now")
PY
