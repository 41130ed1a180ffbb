#!/usr/bin/env bash
# torchvision 0.29.1: to_dtype(scale=True) makes white black: float16 or bfloat16 to uint8, and float32 to uint16.
#
# Behaviour: a float is multiplied by the type's maximum + 1 - 0.001. In half precision, and in float32 for 65536, that factor is rounded up
# to the maximum + 1; 1.0 becomes 256 or 65536, which wraps to 0 on an x86-64 processor. A negative int16 becomes 255.
# convert_image_dtype does the same.
# Wanted: 1.0 becomes 255 and 65535, as it does from float32 to uint8.
# Seen: 1.0 -> 255 (float32 to uint8), 0 (float16 to uint8), 0 (bfloat16 to uint8), 0 (float32 to uint16), 65535 (float64 to
# uint16); int16 -1 -> uint8 255.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch
import torchvision
from torchvision.transforms.functional import convert_image_dtype
from torchvision.transforms.v2.functional import to_dtype

CASES = (
    (1.0, torch.float32, torch.uint8, 255),
    (1.0, torch.float16, torch.uint8, 0),
    (1.0, torch.bfloat16, torch.uint8, 0),
    (0.999, torch.bfloat16, torch.uint8, 0),
    (1.0, torch.float32, torch.uint16, 0),
    (1.0, torch.float64, torch.uint16, 65535),
    (-1, torch.int16, torch.uint8, 255),
)
print(f"torchvision {torchvision.__version__}, torch {torch.__version__}")
for value, source, target, expected in CASES:
    picture = torch.full((3, 4, 4), value, dtype=source)
    read = to_dtype(picture, target, scale=True)[0, 0, 0].item()
    older = convert_image_dtype(picture, target)[0, 0, 0].item()
    print(f"{value} {source} -> {target}: {read}; convert_image_dtype {older}")
    assert read == older == expected
PY
