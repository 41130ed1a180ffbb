"""Probe one stage of a frozen network: linear probes and nearest neighbours on pooled features.

Letters: N training images, V validation images, D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.models.metrics import UNKNOWN, build_metrics
from tlearn.training.strategies.alike_features import FLOAT32_ROUNDING, are_alike
from tlearn.training.strategies.head_solver import STRENGTHS, ridge_path
from tlearn.training.strategies.known_labels import KnownGroup, known_groups, rows_of
from tlearn.training.strategies.left_out import folds_from, folds_of, left_out_outputs

SCORES = {"classification": "accuracy", "multilabel": "mean average precision", "regression": "R2"}
TOGETHER = "all"  # the stages side by side
_NEIGHBOURS = 5
_MOST_ROWS, _MOST_ASKED = 5000, 2000  # of the check by neighbours: its cost is their product
_WIDEST = 2048  # of stages side by side: beyond, to decompose them takes longer than to compute them


class Labelled(NamedTuple):
    """Features (N, D), float32 on the CPU, and their targets as a data module gives them."""

    features: Tensor
    targets: Tensor


@dataclass(frozen=True)
class StageProbe:
    """The worth of one stage at one image size.

    Attributes:
        stage: Name of the stage, or ``all`` for all stages side by side.
        image_size_px: Side of what the network saw.
        width: D.
        ridge: Score of ridge regression on validation, with the strength that has the least squared error there.
        strength: That strength, for features of variance 1 on average.
        left_out: Score on training images, each predicted by ridge regression without it, see `left_out_outputs`.
        neighbours: Score of the five nearest neighbours (cosine) on validation, among at most 5,000 training images.
        logistic: Score of logistic regression on validation; measured for the best stage alone.
    """

    stage: str
    image_size_px: int
    width: int
    ridge: float
    strength: float
    left_out: float
    neighbours: float
    logistic: float | None = None


def wanted_outputs(task: Task, targets: Tensor, num_classes: int) -> Tensor:
    """Return what a linear layer should give, float32 (N, K): indicators of the classes, NaN if unknown, or values."""
    if task == "classification":
        return F.one_hot(targets, num_classes).float()
    return targets.float()


def score(task: Task, outputs: Tensor, targets: Tensor) -> float:
    """Return accuracy, mean average precision, or the share of variance explained (R2); higher is better.

    Args:
        task: Which of them.
        outputs: (N, K).
        targets: (N,), (N, K) of 0, 1 and NaN for unknown labels, which do not count, or (N, 1).
    """
    if task == "classification":
        return float((outputs.argmax(dim=1) == targets).float().mean())
    name = "map" if task == "multilabel" else "r2"
    metric = build_metrics(task, outputs.shape[1], "val")[name]
    if task == "multilabel":
        return float(metric(outputs.where(~targets.isnan(), 0.0), targets.nan_to_num(nan=UNKNOWN).int()))
    return float(metric(outputs, targets).mean())  # over the columns of a regression


def probe_stage(
    stage: str,
    size_px: int,
    task: Task,
    train: Labelled,
    val: Labelled,
    num_classes: int,
    rounding: float = FLOAT32_ROUNDING,
    folds: Tensor | None = None,
) -> StageProbe:
    """Probe one stage.

    Args:
        stage: Name of the stage.
        size_px: Side of what the network saw.
        task: Kind of targets.
        train: Features (N, D) and targets.
        val: Features (V, D) and targets.
        num_classes: K.
        rounding: Rounding error of the features, see `rounding_of`.
        folds: int64 (N,), which training images are left out together; by default see `folds_of`.

    Raises:
        TlearnError: The features are not finite, or all alike.
    """
    check_features(stage, size_px, train.features, val.features, rounding=rounding)
    wanted, wanted_val = (wanted_outputs(task, part.targets, num_classes) for part in (train, val))
    groups = known_groups(train.features, wanted)
    strength, outputs = _best_ridge(groups, val.features, wanted_val)
    unseen = left_out_answers(task, groups, wanted, train, num_classes, folds)
    alike = torch.zeros(len(val.features[:_MOST_ASKED]), wanted.shape[1])
    for rows, columns, known, _ in groups:
        alike[:, columns] = _by_neighbours(rows_of(train.features, rows), known, val.features)
    return StageProbe(
        stage=stage,
        image_size_px=size_px,
        width=train.features.shape[1],
        ridge=score(task, outputs, val.targets),
        strength=strength,
        left_out=score(task, unseen, train.targets),
        neighbours=score(task, alike, val.targets[:_MOST_ASKED]),
    )


def left_out_answers(
    task: Task,
    groups: Sequence[KnownGroup],
    wanted: Tensor,
    train: Labelled,
    num_classes: int,
    folds: Tensor | None = None,
) -> Tensor:
    """Answer for each training image by a layer that was made without its fold, (N, K); see `left_out_outputs`.

    Args:
        task: Kind of targets.
        groups: Columns that are known of the same images.
        wanted: (N, K), see `wanted_outputs`.
        train: Features (N, D) and targets.
        num_classes: K.
        folds: int64 (N,), the fold of each image; by default see `folds_of`.
    """
    unseen = wanted.clone()
    for rows, columns, known, turned in groups:
        parts = folds_of(task, train.targets[rows], num_classes) if folds is None else folds_from(folds[rows])
        unseen[rows[:, None], columns] = left_out_outputs(turned, known, parts)
    return unseen


def _best_ridge(groups: Sequence[KnownGroup], features: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Return the strength with the least squared error, and what it answers for these features, (V, K)."""
    turned = [group.turned.turned(features) for group in groups]
    paths = [list(ridge_path(group.turned, group.wanted)) for group in groups]

    def outputs_at(place: int) -> Tensor:
        """Put the columns of all groups together."""
        outputs = torch.zeros_like(wanted)
        for group, rows, path in zip(groups, turned, paths, strict=True):
            outputs[:, group.columns] = rows @ path[place][1].float().T + path[place][2].float()
        return outputs

    errors = [float((outputs_at(place) - wanted).square().nanmean()) for place in range(len(STRENGTHS))]
    best = int(np.argmin(errors))
    return STRENGTHS[best], outputs_at(best)


def check_features(stage: str, size_px: int, *parts: Tensor, rounding: float = FLOAT32_ROUNDING) -> None:
    """Check that features (N, D) can tell images apart at all.

    Raises:
        TlearnError: They are not finite, or all alike.
    """
    where = f"the features of {stage} at {size_px} px"
    for features in parts:
        if not features.isfinite().all():
            bad = int((~features.isfinite()).any(dim=1).sum())
            raise TlearnError(
                f"{where} are not finite for {bad} of {len(features)} images; take other model.weights, or compute in "
                "--trainer.precision 32-true"
            )
    if are_alike(parts[0], rounding):
        raise TlearnError(f"{where} are alike for all {len(parts[0])} training images: are these all the same picture?")


def _by_neighbours(features: Tensor, wanted: Tensor, asked: Tensor) -> Tensor:
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:_MOST_ROWS]
    mean = features.mean(dim=0)
    neighbours = KNeighborsRegressor(
        min(_NEIGHBOURS, len(chosen)), weights="distance", metric="cosine", algorithm="brute"
    )
    neighbours.fit((features - mean)[chosen].numpy(), wanted[chosen].numpy())
    found: NDArray[np.float32] = neighbours.predict((asked - mean)[:_MOST_ASKED].numpy())
    return torch.from_numpy(found).float().reshape(-1, wanted.shape[1])


def stages_of(features: Tensor, stages: Sequence[str], widths: Sequence[int]) -> dict[str, Tensor]:
    """Take apart what stages side by side gave (N, D); all together are one more, unless they are too wide."""
    parts = dict(zip(stages, features.split(list(widths), dim=1), strict=True))
    return parts | ({TOGETHER: features} if len(parts) > 1 and features.shape[1] <= _WIDEST else {})


def best_of(probes: Sequence[StageProbe]) -> StageProbe:
    """Return the best probe: the mean of validation and left-out scores decides, the narrower wins a tie.

    Two views of one thing: where validation is small, what it likes best is half chance.
    """
    return max(probes, key=lambda probe: (probe.ridge + probe.left_out, -probe.width))
