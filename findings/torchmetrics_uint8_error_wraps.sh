#!/usr/bin/env bash
# torchmetrics 1.9.0: the mean absolute error of two uint8 pictures wraps; the mean squared error of the same two is right.
#
# Behaviour: mean_absolute_error takes the difference in uint8, where 9 - 10 is 255; the other turns it into floats. No warning. A
# difference of one level in half of the pixels, down, is an error of 127.5. int16 copies are right.
# Wanted: 0.5, or an error for unsigned integers.
# Seen: pixels of 10 against pixels of 10 and 9: absolute error 127.5 (uint8), 0.5 (int16); squared error 0.5 in both.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import torch
import torchmetrics
from torchmetrics.functional import mean_absolute_error, mean_squared_error

print(f"torchmetrics {torchmetrics.__version__}, torch {torch.__version__}")
target = torch.full((1000,), 10, dtype=torch.uint8)
shown = target.clone()
shown[::2] = 9
for dtype, expected in ((torch.uint8, 127.5), (torch.int16, 0.5), (torch.float32, 0.5)):
    absolute = mean_absolute_error(shown.to(dtype), target.to(dtype)).item()
    squared = mean_squared_error(shown.to(dtype), target.to(dtype)).item()
    print(f"{dtype}: mean absolute error {absolute}, mean squared error {squared}")
    assert (absolute, squared) == (expected, 0.5)
PY
