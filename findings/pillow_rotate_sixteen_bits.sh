#!/usr/bin/env bash
# Pillow 13.0.0: rotate() and transform() of a 16-bit grey picture (I;16) with bilinear or bicubic interpolation return other numbers.
#
# Behaviour: a bright picture becomes nearly black, without an error. resize() with the same filters is right, and so are nearest
# neighbour, quarter turns, and the same picture in mode I or F.
# Wanted: values between the smallest and the largest of the picture, as resize() gives, or an error like that of thumbnail().
# Seen: a picture of 20000 (left) and 20100 (right) turned by 10 degrees has values of 32 to 77 in its middle; in mode F 20000 to
# 20100; resized by the same filter 20000 to 20100.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import PIL
from PIL import Image

pixels = np.full((32, 32), 20000, np.uint16)
pixels[:, 16:] = 20100
middle = (slice(8, 24), slice(8, 24))
deep, real = Image.fromarray(pixels), Image.fromarray(pixels.astype(np.float32))
print(f"Pillow {PIL.__version__}, mode {deep.mode}")
for name in ("NEAREST", "BILINEAR", "BICUBIC"):
    resample = Image.Resampling[name]
    turned = np.asarray(deep.rotate(10, resample))[middle]
    as_float = np.asarray(real.rotate(10, resample))[middle]
    resized = np.asarray(deep.resize((24, 24), resample))
    ranges = [(a.min().item(), a.max().item()) for a in (turned, as_float, resized)]
    print(f"{name}: turned {ranges[0]}, turned in mode F {ranges[1]}, resized {ranges[2]}")
    assert 19900 < as_float.min() and as_float.max() < 20200
    assert 19900 < resized.min() and resized.max() < 20200
    if name == "NEAREST":
        assert ranges[0] == (20000, 20100)
    else:
        assert ranges[0] == (32, 77)
shifted = np.asarray(deep.transform((32, 32), Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), Image.Resampling.BILINEAR))
print("moved by half a pixel:", np.unique(shifted).tolist())
assert shifted.max() < 256
PY
