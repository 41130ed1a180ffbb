#!/usr/bin/env bash
# torchvision 0.29.1: rgb_to_grayscale of a grey uint8 picture makes every pixel but black one level darker.
#
# Behaviour: the weights 0.2989, 0.587 and 0.114 add up to 0.9999, and the sum is cut, not rounded, so that no grey of 1 to 255 keeps its
# value; white is lost. Repeated, it goes on. RandomGrayscale therefore tells which grey pictures it touched. The same call on a
# Pillow picture is exact.
# Wanted: grey stays grey, as in Pillow.
# Seen: 255 of 255 levels lose one; 255 -> 254, after 100 calls 155; as a Pillow picture 255 -> 255. int16 and int32 do so too.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch
import torchvision
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor, rgb_to_grayscale, to_pil_image

print(f"torchvision {torchvision.__version__}")
levels = torch.arange(256)
for dtype in (torch.uint8, torch.int16, torch.int32):
    grey = levels.to(dtype).expand(3, 1, 256)
    lost = levels - rgb_to_grayscale(grey)[0, 0].long()
    print(f"{dtype}: levels lost {lost.unique().tolist()}, pixels changed {int((lost != 0).sum())} of 256")
    assert lost.tolist() == [0] + [1] * 255
grey = levels.to(torch.uint8).expand(3, 1, 256).contiguous()
by_pillow = pil_to_tensor(rgb_to_grayscale(to_pil_image(grey)))[0, 0]
assert by_pillow.tolist() == levels.tolist()
white = torch.full((3, 1, 1), 255, dtype=torch.uint8)
for _ in range(100):
    white = rgb_to_grayscale(white, num_output_channels=3)
print("white after 100 calls:", white.flatten().tolist(), "levels by Pillow unchanged")
assert white.flatten().tolist() == [155] * 3
PY
