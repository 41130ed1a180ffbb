"""Write what a fit keeps so that answers can be doubted, with as many held-out pictures as a test wants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.helpers.fake_pictures import picture
from tlearn.data.files.reading import read_and_remark
from tlearn.deploy.predictor import load
from tlearn.models.reliability.evidence import FILE, Evidence, fingerprint_of
from tlearn.models.reliability.strangers import fit_detector, held_out_scores
from tlearn.models.weights.safe_load import read_checkpoint

COLOURS = ("cat", "dog", "eel")


def keep(run: Path, each: int = 20, **changes: Any) -> Evidence:
    """Write ``reliability.pt`` of a run that tells colours apart.

    Args:
        run: Its folder.
        each: Held-out pictures of each class.
        changes: Of what is kept.
    """
    predictor = load(run)
    names = [f"{name}/{number}.png" for name in COLOURS for number in range(2000, 2000 + each)]
    pixels = [read_and_remark(picture(name.split("/")[0], int(name[4:-4])), predictor.framing)[0] for name in names]
    with torch.inference_mode():
        features = predictor.module.features(torch.stack(pixels)).clone()
        logits = predictor.module.in_unit(predictor.module(features)).clone()
    targets = torch.arange(len(names)) // each
    module = predictor.module
    evidence = Evidence(
        network=fingerprint_of(read_checkpoint(run / "checkpoints/best.ckpt")["state_dict"]),
        task=module.task,
        class_names=list(module.class_names),
        training_pictures=len(names),
        source="out of fold",
        logits=logits,
        targets=targets,
        groups=None,
        stranger_scores=held_out_scores(features, targets, logits),
        strangers=dict(fit_detector(features, targets, logits).state_dict()),
        known_features=features.half(),
        known_targets=targets,
        known_names=names,
        reference_features=features.half(),
    )
    changed = replace(evidence, **changes)
    changed.write(run / FILE)
    return changed


def wrong(logits: Tensor, rows: slice) -> Tensor:
    """Return logits of which some rows are turned by one class, so that their answers are wrong."""
    turned = logits.clone()
    turned[rows] = turned[rows].roll(1, dims=1)
    return turned
