#!/usr/bin/env bash
# Pillow 13.0.0 (OpenJPEG 2.5.4): a colour JPEG 2000 of more than 8 bits is read with white as black; a grey one is right.
#
# Behaviour: colours are shifted down to 8 bits with rounding, and the largest ones do not fit any more: they start again at 0. The
# alpha channel of RGBA does so too, and an opaque picture becomes a transparent one. 8 bits are right.
# Wanted: white stays 255 and opaque stays opaque.
# Seen: 12 bits, RGB 4095 -> 0, 4080 -> 255, 2048 -> 128; RGBA 4095 -> 0 with alpha 0. Grey 4095 -> 65520 of 65535.
# imagecodecs 2026.3.6 decodes all of them exactly.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io

import imagecodecs
import numpy as np
import PIL
from PIL import Image, features

values = np.tile(np.array([0, 2048, 4080, 4095], np.uint16), (64, 16))
print(f"Pillow {PIL.__version__}, OpenJPEG {features.version('jpg_2000')}")
for channels, expected in ((1, [0, 32768, 65280, 65520]), (3, [0, 128, 255, 0]), (4, [0, 128, 255, 0])):
    pixels = values if channels == 1 else np.stack([values] * channels, axis=-1)
    data = imagecodecs.jpeg2k_encode(pixels, level=0, bitspersample=12, reversible=True)
    assert np.array_equal(imagecodecs.jpeg2k_decode(data), pixels)
    with Image.open(io.BytesIO(data)) as image:
        read = np.asarray(image).reshape(64, 64, channels)
        print(f"12 bits, mode {image.mode}: [0, 2048, 4080, 4095] -> {read[0, :4, 0].tolist()}, last channel {read[0, 3, -1]}")
    assert read[0, :4, 0].tolist() == expected
    assert read[0, :4, -1].tolist() == expected
PY
