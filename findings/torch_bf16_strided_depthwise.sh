#!/usr/bin/env bash
# torch 2.14.1: the input gradient of a strided depthwise convolution takes 20 times as long in bfloat16 as in float32, on a
# processor that multiplies bfloat16.
#
# Behaviour: for float32 oneDNN has a kernel of its own for depthwise convolutions (jit_dw). For bfloat16 with stride 2 it takes
# brgconv_strided, made for dense ones, as ONEDNN_VERBOSE=1 shows. With stride 1 it takes jit_dw for both. So a training step of
# EfficientNet-Lite0 takes up to twice as long in bfloat16, while its forward pass takes less. Nothing warns.
# Wanted: the depthwise kernel, which is there for stride 1.
# Seen, on a processor with AVX512-BF16 and AMX that other work kept busy, one thread: stride 2: float32 4.8 ms, bfloat16 62.8 ms, 13.2
# times (20.2 and 22.1 in two other runs); stride 1: 5.5 and 4.5 ms, 0.8 times.
# On a processor without AVX512-BF16 bfloat16 is emulated; the script says so and tells nothing.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import statistics
import sys
import time

import torch

if not torch.cpu._is_avx512_bf16_supported():
    sys.exit("this processor does not multiply bfloat16")
torch.set_num_threads(1)


def milliseconds(stride: int, dtype: torch.dtype) -> float:
    """The processor's time, which other work disturbs least; the median of nine."""
    maps = torch.randn(16, 96, 48, 48).to(dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(96, 1, 3, 3).to(dtype)
    found = torch.nn.functional.conv2d(maps, weight, None, stride, 1, groups=96)
    gradient, times = torch.randn_like(found), []
    for _ in range(11):
        start = time.process_time()
        torch.ops.aten.convolution_backward(
            gradient, maps, weight, None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 96, [True, False, False]
        )
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times[2:])


ratios = {}
for stride in (2, 1):
    full, half = milliseconds(stride, torch.float32), milliseconds(stride, torch.bfloat16)
    ratios[stride] = half / full
    print(f"torch {torch.__version__}: stride {stride}: float32 {full:.1f} ms, bfloat16 {half:.1f} ms, {half / full:.1f} times")
assert ratios[2] > 5
assert ratios[1] < 2
PY
