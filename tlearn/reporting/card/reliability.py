"""``evaluation/reliability.json``: what held-out answers say of how far new ones can be believed, for the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.abstention import confidence_for
from tlearn.models.reliability.answer_sets import fit_label_sets, fit_sets
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.intervals import fit_intervals
from tlearn.models.reliability.risk_coverage import area_under_risk_coverage, risk_coverage
from tlearn.reporting.card.examples import as_text, picture_names, seen_sharp
from tlearn.reporting.evaluation import in_words
from tlearn.reporting.pictures import in_colours

COVERAGES = (0.8, 0.9, 0.95)
MIN_ACCURACIES = (0.9, 0.95, 0.98)
STRANGERS = 6
_POINTS = 100  # of the curve


def reliability_facts(evidence: Evidence, calibration: Calibration) -> dict[str, Any]:
    """Return what the report shows, as plain values.

    Args:
        evidence: Of the network that the run keeps.
        calibration: What turns its logits into probabilities.
    """
    groups = evidence.groups
    found: dict[str, Any] = {
        "source": evidence.source,
        "task": evidence.task,
        "held_out": evidence.held_out,
        "groups": None if groups is None else len(groups.unique()),
    }
    if evidence.source is None:
        return found
    given = answers_of(evidence.task, evidence.logits, calibration)
    found["sets"] = [_set_row(evidence, given, coverage) for coverage in COVERAGES]
    if evidence.task == "classification":
        confidence, said = given.max(dim=1)
        right = said == evidence.targets
        found["abstain"] = [_abstain_row(given, evidence, share) for share in MIN_ACCURACIES]
        shares, risks = risk_coverage(confidence, right)
        rows = torch.linspace(0, len(shares) - 1, min(_POINTS, len(shares))).long()
        found["risk_coverage"] = torch.stack([shares[rows], risks[rows]], dim=1).tolist()
        found["area"] = area_under_risk_coverage(confidence, right)
    return found


def write_reliability(
    folder: Path,
    data: ImageDataModule,
    evidence: Evidence,
    calibration: Calibration,
    split: Split,
    rows: Tensor,
    scores: Tensor,
) -> None:
    """Write the file, with the pictures that are strangest among those held out.

    Args:
        folder: The run folder, in which ``evaluation/`` is made.
        data: Whose splits are open.
        evidence: Of the network that the run keeps.
        calibration: What turns its logits into probabilities.
        split: Where the held-out pictures are from.
        rows: int64 (N,), their positions in the source.
        scores: (N,), how strange each is.
    """
    found = reliability_facts(evidence, calibration)
    if data.shows(split) and len(scores):
        found["strangers"] = _strangers(data, split, rows, scores)
    place = folder / "evaluation"
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / "reliability.json", json.dumps(found))


def _set_row(evidence: Evidence, given: Tensor, coverage: float) -> dict[str, Any]:
    """Return one coverage's sets, or intervals; why there are none where too few pictures are held out."""
    groups = evidence.groups
    try:
        if evidence.task == "regression":
            rule = fit_intervals(given, evidence.targets.reshape(given.shape), coverage, groups)
            return {"coverage": coverage, "half_widths": rule.half_widths.tolist()}
        fit = fit_label_sets if evidence.task == "multilabel" else fit_sets
        sets = fit(given, evidence.targets, coverage, groups=groups)
    except TlearnError as error:
        return {"coverage": coverage, "lack": str(error)}
    return {"coverage": coverage, "mean_size": sets.mean_size, "single": sets.single_share}


def _abstain_row(given: Tensor, evidence: Evidence, share: float) -> dict[str, Any]:
    found = confidence_for(given, evidence.targets, share, groups=evidence.groups)
    row: dict[str, Any] = {"min_accuracy": share, "confidence": found.confidence}
    if found.confidence is None:
        return row | {"needed": found.needed, "unit": "pictures" if evidence.groups is None else "groups"}
    return row | {"answered": found.share, "accuracy": found.accuracy, "bound": found.bound}


def _strangers(data: ImageDataModule, split: Split, rows: Tensor, scores: Tensor) -> list[dict[str, Any]]:
    order = scores.argsort(descending=True)[:STRANGERS]
    chosen = rows[order]
    pictures = in_colours(seen_sharp(data, split, chosen))
    names, targets = picture_names(data, split, chosen), data.dataset(split).targets[chosen]
    return [
        {"picture": as_text(picture), "name": name, "true": in_words(data.task, data.class_names, target)}
        for picture, name, target in zip(pictures, names, targets, strict=True)
    ]
