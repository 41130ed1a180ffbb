#!/usr/bin/env bash
# torchmetrics 1.9.0: macro AUROC counts a class without an example as 0; accuracy, F1 and average precision leave it out.
#
# Behaviour: multiclass_auroc(average="macro"), the default, gives absent classes an area of 0 and divides by all of them, with one warning
# about "no positive samples". A perfect prediction on a validation set with 2 of 5 classes scores 0.4, below chance, while
# every other macro score says 1.0. average="weighted" is 1.0.
# Wanted: absent classes left out, as in the other scores.
# Seen: AUROC 0.4; accuracy, recall, F1 and average precision 1.0. With all five classes present 1.0.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import torch
import torchmetrics
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_average_precision,
    multiclass_f1_score,
    multiclass_recall,
)

warnings.simplefilter("ignore")
print(f"torchmetrics {torchmetrics.__version__}, torch {torch.__version__}")
for targets, expected in ((torch.tensor([0, 1, 0, 1]), 0.4), (torch.arange(5), 1.0)):
    perfect = torch.eye(5)[targets]
    area = multiclass_auroc(perfect, targets, num_classes=5).item()
    weighted = multiclass_auroc(perfect, targets, num_classes=5, average="weighted").item()
    scores = (multiclass_accuracy, multiclass_recall, multiclass_f1_score, multiclass_average_precision)
    others = {score.__name__: score(perfect, targets, num_classes=5).item() for score in scores}
    print(f"targets {targets.tolist()}, perfect: AUROC {area:.3f}, weighted {weighted:.3f}, others {others}")
    assert abs(area - expected) < 1e-6
    assert weighted == 1.0
    assert set(others.values()) == {1.0}
PY
