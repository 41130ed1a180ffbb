#!/usr/bin/env bash
# scikit-image 0.26.0: img_as_ubyte of a 16-bit picture keeps the numbers or divides them by 256, as its brightest pixel says.
#
# Behaviour: a picture whose largest value is 255 is cast as it is (with a warning about downcasting); one of 256 is shifted down by eight
# bits. Two frames of one camera whose brightness differs by one level come out 255 times apart. int64 (what numpy makes of a list)
# is scaled from its full range, and all else becomes 0.
# Wanted: one rule for a type, as img_as_float has.
# Seen: uint16 of largest value 255: 255; of largest value 256: 1. The pixel of 200 becomes 200 in the first and 0 in the second.
# int64 255: 255; with 256 in the picture: 0. img_as_float: 0.00389 and 0.00391.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scikit-image==0.26.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import skimage
from skimage.util import img_as_float, img_as_ubyte

print(f"scikit-image {skimage.__version__}")
for dtype, brightest, expected in (("uint16", 255, [200, 255]), ("uint16", 256, [0, 1]), ("int64", 255, [200, 255]), ("int64", 256, [0, 0])):
    picture = np.array([[200, brightest]], dtype)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read = img_as_ubyte(picture)[0].tolist()
    about = [str(each.message) for each in warned]
    print(f"{dtype} [200, {brightest}]: {read}, img_as_float {img_as_float(picture)[0].tolist()}, warnings {about}")
    assert read == expected
    assert len(about) == (brightest == 255)
PY
