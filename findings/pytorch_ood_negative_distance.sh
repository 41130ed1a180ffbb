#!/usr/bin/env bash
# pytorch-ood 0.4.0: with fewer pictures than features, squared Mahalanobis distances come out negative.
#
# Behaviour: Mahalanobis and RMD invert the sum of the scatter plus 1e-6 in float32. Of 200 pictures with 1,280 features the
# scatter is singular, the ridge is below its rounding, and the inverse is no longer positive. Nothing is said.
# Wanted: shrinkage, float64, or an error. The same formula in float64 gives positive distances.
# Seen: of 200 new pictures, float32 gave 28 a negative distance, float64 none.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-ood==0.4.0 torch==2.14.1 torchvision==0.29.1
"$work/venv/bin/python" - <<'PY'
import torch
from pytorch_ood.detector import Mahalanobis

generator = torch.Generator().manual_seed(0)
labels = torch.arange(200) % 2
centres = torch.rand(2, 1280, generator=generator)
known, new = (centres[labels] + 0.3 * torch.rand(200, 1280, generator=generator) for _ in range(2))
detector = Mahalanobis(None).fit_features(known, labels)
single = detector.predict_features(new)  # half the least squared distance
exact = torch.linalg.inv(detector.cov.double())
rows = [(new - mean).double() for mean in detector.mu]
double = torch.stack([((each @ exact) * each).sum(dim=1) / 2 for each in rows]).amin(dim=0)
print(f"torch {torch.__version__}: negative in float32 {(single < 0).sum()}, in float64 {(double < 0).sum()} of 200")
assert (single < 0).sum() > 0
assert (double < 0).sum() == 0
PY
