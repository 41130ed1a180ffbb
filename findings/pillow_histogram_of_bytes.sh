#!/usr/bin/env bash
# Pillow 13.0.0: histogram() of a 16-bit grey picture (I;16) counts the bytes of its left half; that of I or F depends on its own range.
#
# Behaviour: for I;16 each row's first W bytes are counted as W pixels, so two bytes of each pixel of the left half, and nothing of the right
# half. For I and F the values are first stretched between the picture's own smallest and largest one. ImageStat.Stat builds
# on both and returns a mean that no picture has.
# Wanted: counts of values, or an error as getcolors() raises for I;16.
# Seen: 32 x 32 pixels, 600 (bytes 88 and 2) left and 40000 right: 512 counts at 2 and 512 at 88, mean 45.0, extrema 2 and 88. In mode I
# 1024 pixels of 600 and one of them 700: 1023 counts at 0 and one at 255, mean 0.25.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import PIL
from PIL import Image, ImageStat

pixels = np.full((32, 32), 600, np.uint16)
pixels[:, 16:] = 40000
deep = Image.fromarray(pixels)
counts = {value: count for value, count in enumerate(deep.histogram()) if count}
stat = ImageStat.Stat(deep)
print(f"Pillow {PIL.__version__}: mode {deep.mode}, 600 left, 40000 right: counts {counts}, mean {stat.mean}, extrema {stat.extrema}")
assert (counts, stat.mean, stat.extrema) == ({2: 512, 88: 512}, [45.0], [(2, 88)])

pixels[:] = 600
pixels[0, 0] = 700
for dtype in (np.int32, np.float32):
    wide = Image.fromarray(pixels.astype(dtype))
    counts = {value: count for value, count in enumerate(wide.histogram()) if count}
    mean = ImageStat.Stat(wide).mean
    print(f"mode {wide.mode}, all 600, one 700: counts {counts}, mean {mean}, true mean {pixels.mean():.2f}")
    assert counts == {0: 1023, 255: 1}
    assert abs(mean[0] - 255 / 1024) < 1e-9
PY
