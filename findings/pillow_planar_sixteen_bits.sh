#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed RGB TIFF of 16 bits whose channels are stored one after the other is read as other colours.
#
# Behaviour: PlanarConfiguration 2. The raw decoder takes each plane's bytes for 8-bit samples, so that lower bytes become pixels and half of
# each plane is not read. No error, no warning, and the size is right. Compressed ones, and those of 8 bits, are right.
# Wanted: the upper byte of each sample, as from the compressed file.
# Seen: the first pixels of value 0, 300, 600 and so on: uncompressed [0, 44, 88], [0, 1, 2]; with LZW [0, 1, 2], [3, 4, 5].
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

pixels = (np.arange(8 * 8 * 3).reshape(8, 8, 3) * 300).astype(np.uint16)
planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
print(f"Pillow {PIL.__version__}, tifffile {tifffile.__version__}")
for compression in (None, "lzw", "zlib"):
    tifffile.imwrite("planes.tif", planes, photometric="rgb", planarconfig="separate", compression=compression)
    assert np.array_equal(tifffile.imread("planes.tif"), planes)
    with Image.open("planes.tif") as image:
        read = np.asarray(image)
        print(f"{compression}: mode {image.mode}, first pixels {read[0, :2].tolist()}, right {(pixels >> 8)[0, :2].tolist()}")
    assert np.array_equal(read, pixels >> 8) is (compression is not None)
    if compression is None:
        assert read[0, :2].tolist() == [[0, 44, 88], [0, 1, 2]]
PY
