#!/usr/bin/env bash
# torchmetrics 1.9.0: importing it, for any metric, adds a function to the user's scipy.signal that SciPy has removed.
#
# Behaviour: torchmetrics/functional/audio/__init__.py, which `import torchmetrics` runs, sets scipy.signal.hamming to
# scipy.signal.windows.hamming where it is absent, for the sake of another package (SRMRpy), which need not be installed. Code that
# calls scipy.signal.hamming therefore works or raises AttributeError by whether torchmetrics was imported before, in that process.
# Wanted: the alias is set where SRMRpy is used, or not at all.
# Seen: scipy 1.17.1: scipy.signal.hamming absent; after `import torchmetrics`: there; SRMRpy is not installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6 scipy==1.17.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
from importlib.util import find_spec

import scipy
import scipy.signal

before = hasattr(scipy.signal, "hamming")
import torchmetrics

after = hasattr(scipy.signal, "hamming")
print(f"scipy {scipy.__version__}, torchmetrics {torchmetrics.__version__}: scipy.signal.hamming before {before}, after {after}")
print(f"SRMRpy installed: {find_spec('srmrpy') is not None}")
assert (before, after) == (False, True)
assert find_spec("srmrpy") is None
PY
