#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed grey or RGBA TIFF that the orientation tag turns by a quarter is scrambled when opened by its path.
#
# Behaviour: opened by path, the pixels are mapped from the file with the row length of the turned picture, and turned after that. The
# rows are cut at the wrong places, and the size that was announced on opening changes back on loading. The same bytes in
# a BytesIO, a compressed file, RGB, and orientations 1 to 4 are right. The tag is gone either way, so nothing tells.
# Wanted: the same pixels from a path and from the file's bytes.
# Seen: 3 x 5 grey pixels 0 to 14 with orientation 6: from bytes 5 rows [10, 5, 0], [11, 6, 1], ...; by path 3 rows
# [12, 9, 6, 3, 0], [13, 10, 7, 4, 1], [14, 11, 8, 5, 2]. size is (3, 5) on opening and (5, 3) after loading.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
from pathlib import Path

import numpy as np
import PIL
import tifffile
from PIL import Image

TURNED = {5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}
CASES = (("uint8", (3, 5), True), ("uint16", (3, 5), True), ("uint8", (3, 5, 4), True), ("uint8", (3, 5, 3), False))

print(f"Pillow {PIL.__version__}")
for dtype, shape, is_scrambled in CASES:
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    for orientation, turned in TURNED.items():
        tifffile.imwrite("turned.tif", pixels, extratags=[(274, "H", 1, orientation, True)])
        from_bytes = np.asarray(Image.open(io.BytesIO(Path("turned.tif").read_bytes())))
        with Image.open("turned.tif") as image:
            announced = image.size
            by_path = np.asarray(image)
            after = (image.size, image.getexif().get(274))
        print(f"{dtype} {shape}, orientation {orientation}: size {announced} -> {after[0]}, tag {after[1]}")
        assert announced == (3, 5)
        assert after == (((5, 3) if is_scrambled else (3, 5)), None)
        assert np.array_equal(from_bytes, turned(pixels))
        assert np.array_equal(by_path, turned(pixels)) is not is_scrambled
        if (dtype, orientation) == ("uint8", 6) and len(shape) == 2:
            print("from bytes", from_bytes.tolist(), "by path", by_path.tolist())
            assert by_path.tolist() == [[12, 9, 6, 3, 0], [13, 10, 7, 4, 1], [14, 11, 8, 5, 2]]
PY
