#!/usr/bin/env bash
# tifffile 2026.3.3: an array (H, W, C) is written as one picture for C of 3 and 4, and as H pages of W x C pixels for C of 2 and 5.
#
# Behaviour: without photometric= or planarconfig= the last axis is taken for colours only where it is 3 or 4. Of any other array the
# last two axes are a page. tifffile itself gives the array back whole from a private description, so the writer sees nothing; Pillow and
# whoever reads pages find a picture 5 pixels wide. The fourth of four bands is called unassociated alpha.
# Wanted: (H, W, C) arrays in one shape for all C, or a line that says what was written.
# Seen: 16 x 24 pixels: C=3 one page RGB; C=4 one page RGBA with alpha; C=2: 16 pages, the first 2 x 24; C=5: 16 pages, 5 x 24.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import PIL
import tifffile
from PIL import Image

warnings.simplefilter("error")
EXPECTED = {2: (16, "L", (2, 24)), 3: (1, "RGB", (24, 16)), 4: (1, "RGBA", (24, 16)), 5: (16, "L", (5, 24))}

print(f"tifffile {tifffile.__version__}, Pillow {PIL.__version__}")
for channels, expected in EXPECTED.items():
    pixels = np.zeros((16, 24, channels), np.uint8)
    tifffile.imwrite("bands.tif", pixels)
    assert tifffile.imread("bands.tif").shape == pixels.shape
    with tifffile.TiffFile("bands.tif") as file:
        page = file.pages[0]
        pages, extra = len(file.pages), [each.name for each in page.extrasamples]
    with Image.open("bands.tif") as image:
        print(f"{pixels.shape}: {pages} pages of {page.shape}, extra samples {extra}; Pillow: {image.mode} {image.size}")
        assert (pages, image.mode, image.size) == expected
    assert extra == (["UNASSALPHA"] if channels == 4 else [])
PY
