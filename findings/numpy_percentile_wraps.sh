#!/usr/bin/env bash
# numpy 2.4.6: np.percentile of int8, int16 or int32 numbers can lie far outside them, where two neighbours in order are far apart.
#
# Behaviour: the percentile between two neighbouring values is interpolated with a difference in the array's own type, which wraps once
# it exceeds half of the type's range. A picture of int16 with -32768 for "no data" and the rest above 0 is enough. No warning.
# np.median of the same array is right, and so is np.percentile of its float64 copy.
# Wanted: a value between the smallest and the largest, as for uint8 and uint16.
# Seen: five times -32768 and five times 1000: percentile 50 is 16884.0 by the wrapped difference, median -15884.0. int8
# [-120, 120]: percentiles 25, 50, 75 are -124, 128 and 124.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np

warnings.simplefilter("error")
picture = np.array([-32768] * 5 + [1000] * 5, np.int16)
wrapped = np.percentile(picture, [50]).item()
median = np.median(picture).item()
as_float = np.percentile(picture.astype(np.float64), [50]).item()
print(f"numpy {np.__version__}: int16, half -32768, half 1000: percentile 50 {wrapped}, median {median}, of floats {as_float}")
assert median == as_float == -15884.0
assert wrapped > 1000
for dtype in (np.int8, np.int16, np.int32, np.uint8, np.uint16):
    info = np.iinfo(dtype)
    values = np.array([info.min + 8, info.max - 7], dtype)
    found = np.percentile(values, [25, 50, 75])
    is_inside = bool((found >= values.min()).all() and (found <= values.max()).all())
    print(f"{values.dtype} {values.tolist()}: percentiles 25, 50, 75 {found.tolist()}, inside {is_inside}")
    assert is_inside is (info.min == 0)
PY
