#!/usr/bin/env bash
# Pillow 13.0.0: a compressed big-endian TIFF of int16, int32 or float32 is read with its bytes swapped; an uncompressed one is right.
#
# Behaviour: libtiff hands decompressed samples over in the machine's own byte order, and Pillow unpacks them as big-endian once more.
# No error and no warning; float32 values become almost zero, so that the picture is black.
# Wanted: the same numbers whatever the compression.
# Seen: int16 and int32 [-90, 7, 1000] and float32 [-90.0, 7.0, 1000.0] are right uncompressed; with zlib the first value is
# -22785, -1493172225 and 6.5e-41. uint16 is right in both. tifffile 2026.3.3 reads all of them right.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import PIL
import tifffile
from PIL import Image

SWAPPED = {"int16": True, "int32": True, "float32": True, "uint16": False}

print(f"Pillow {PIL.__version__}, tifffile {tifffile.__version__}")
for dtype, is_swapped in SWAPPED.items():
    values = np.array([[90 if dtype == "uint16" else -90, 7, 1000]], dtype)
    for compression in (None, "zlib"):
        tifffile.imwrite("values.tif", values, byteorder=">", compression=compression)
        with Image.open("values.tif") as image:
            read = np.asarray(image)
            print(f"{dtype}, {compression}: {values.tolist()} -> mode {image.mode}, {read.tolist()}")
        assert np.array_equal(tifffile.imread("values.tif"), values)
        if compression and is_swapped:
            assert np.array_equal(read, values.byteswap())
            assert not np.array_equal(read, values)
        else:
            assert np.array_equal(read, values)
PY
