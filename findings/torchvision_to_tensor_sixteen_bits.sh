#!/usr/bin/env bash
# torchvision 0.29.1: to_tensor() has four rules for the same 16-bit grey picture, by its mode and byte order.
#
# Behaviour: I;16 becomes int16, unscaled, and values above 32767 are negative. I becomes int32, unscaled. F stays as it is. I;16B (a
# big-endian TIFF) falls into the branch of 8 bits: the upper byte is dropped, the lower one divided by 255. uint8 alone is scaled rightly.
# Wanted: 0..1 for every integer mode, or an error.
# Seen: value 40000: I;16 -> -25536 (int16), I -> 40000 (int32), F -> 40000.0; I;16B -> 0.251 (float32, the lower byte 64 of 255).
# pil_to_tensor: uint16 40000, and an error for I;16B.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import PIL
import tifffile
import torch
import torchvision
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor, to_tensor

pixels = np.full((4, 4), 40000, np.uint16)
tifffile.imwrite("deep.tif", pixels, byteorder=">")
pictures = (
    (Image.fromarray((pixels >> 8).astype(np.uint8)), torch.float32, [156 / 255]),
    (Image.fromarray(pixels), torch.int16, [-25536]),
    (Image.fromarray(pixels.astype(np.int32)), torch.int32, [40000]),
    (Image.fromarray(pixels.astype(np.float32)), torch.float32, [40000.0]),
    (Image.open("deep.tif"), torch.float32, [64 / 255]),
)
print(f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}")
for picture, dtype, expected in pictures:
    tensor = to_tensor(picture)
    values = tensor.unique().tolist()
    print(f"40000 in mode {picture.mode}: {tensor.dtype}, {values}")
    assert tensor.dtype == dtype
    assert np.allclose(values, expected)
assert pil_to_tensor(pictures[1][0]).unique().tolist() == [40000]
try:
    pil_to_tensor(pictures[-1][0])
except ValueError as error:
    print("pil_to_tensor, mode I;16B:", error)
else:
    raise AssertionError("pil_to_tensor takes big-endian pictures now")
PY
