"""The results of a pass over validation or test images, by pure functions. N images, K classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from tlearn.base.types import LABEL_THRESHOLD, Task
from tlearn.models.calibration import AS_TRAINED, Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.calibration_error import BINS, Reliability, reliability_of
from tlearn.training.evaluation import Outputs

_SCATTERED = 500


class Answers(NamedTuple):
    """The answers of a pass as probabilities or values.

    Attributes:
        task: One class an image, any number of labels, or values.
        class_names: K names; none for a regression of one column.
        outputs: The pass.
        calibration: What turns logits into probabilities.
        given: Probabilities (N, K) by it, or values (N, K).
        targets: Class numbers (N,), labels 0, 1 or NaN if unknown (N, K), or values (N, K).
    """

    task: Task
    class_names: Sequence[str]
    outputs: Outputs
    calibration: Calibration
    given: Tensor
    targets: Tensor


def answers_from(task: Task, class_names: Sequence[str], outputs: Outputs, calibration: Calibration) -> Answers:
    """Turn the logits of a pass into probabilities."""
    given = answers_of(task, outputs.logits, calibration)
    targets = outputs.targets.view_as(given).float() if task == "regression" else outputs.targets
    return Answers(task, class_names, outputs, calibration, given, targets)


def confusion_matrix(answers: Answers) -> Tensor:
    """Return the numbers of images, int64 (K, K): rows are true classes, columns are predicted ones."""
    matrix: Tensor = multiclass_confusion_matrix(
        answers.given.argmax(dim=1), answers.targets, len(answers.class_names), validate_args=False
    )
    return matrix


class ClassScores(NamedTuple):
    """The scores of each class; float64 (K,) each, NaN if undefined.

    Attributes:
        images: Number of images of the class, int64.
        accuracy: Share of these that are found (recall).
        precision: Share of right ones among the images that are predicted as the class.
        f1: Harmonic mean of the two.
    """

    images: Tensor
    accuracy: Tensor
    precision: Tensor
    f1: Tensor


def class_scores(answers: Answers) -> ClassScores:
    """Return the scores of every class, not for a regression."""
    if answers.task == "classification":
        matrix = confusion_matrix(answers)
        hits, true, said = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    else:
        chosen = (answers.given >= LABEL_THRESHOLD) & ~answers.targets.isnan()
        holds = answers.targets > 0
        hits, true, said = ((chosen & holds).sum(dim=0), holds.sum(dim=0), chosen.sum(dim=0))
    right = hits.double()
    return ClassScores(true, right / true, right / said, 2 * right / (true + said))


def reliability(answers: Answers, calibration: Calibration) -> Reliability:
    """Compare the probabilities by a calibration with how often they come true."""
    return reliability_of(answers.task, answers.outputs.logits, answers.targets, calibration)


def is_wrong(answers: Answers) -> Tensor:
    """Tell for each image whether its class or one of its labels is wrong, bool (N,); a value always is."""
    if answers.task == "classification":
        return answers.given.argmax(dim=1) != answers.targets
    if answers.task == "multilabel":
        chosen, known = answers.given >= LABEL_THRESHOLD, ~answers.targets.isnan()
        return ((chosen != (answers.targets > 0)) & known).any(dim=1)
    return torch.ones(len(answers.given), dtype=torch.bool)


def least_sure(answers: Answers, count: int) -> list[int]:
    """Return the positions of at most ``count`` images, the least sure answers first; not for a regression."""
    return _sureness(answers).argsort(stable=True)[:count].tolist()


def worst_mistakes(answers: Answers, count: int) -> list[int]:
    """Return the positions of at most ``count`` images, the worst mistakes first.

    With one class an image, these are wrong answers, ordered by the probability of the wrong class. With several
    labels, these are images with a wrong label, ordered by the error of the worst probability. Values are ordered by
    their error, however small.
    """
    if answers.task == "classification":
        confidence, predicted = answers.given.max(dim=1)
        badness = confidence.where(predicted != answers.targets, -1.0)
    elif answers.task == "multilabel":
        badness = (answers.given - answers.targets).abs().nan_to_num(-1.0).max(dim=1).values
        badness = badness.where(badness > 1 - LABEL_THRESHOLD, -1.0)
    else:
        distance = (answers.given - answers.targets).abs()
        badness = (
            (distance / answers.targets.std(dim=0, correction=0).clamp_min(1e-12)).max(dim=1).values
            if _several(answers)
            else distance.flatten()
        )
    order = badness.argsort(descending=True, stable=True)[:count]
    return [int(position) for position in order if badness[position] >= 0]


def best_answers(answers: Answers, count: int) -> list[int]:
    """Return the positions of at most ``count`` images that are answered right, the surest first.

    Of one class an image, each class has its turn, so that a frequent one does not fill the list. Values are ordered by
    their error.
    """
    if answers.task == "regression":
        return worst_mistakes(answers, len(answers.given))[::-1][:count]
    right = (~is_wrong(answers)).nonzero().flatten()
    order: list[int] = right[_sureness(answers)[right].argsort(descending=True, stable=True)].tolist()
    if answers.task == "multilabel":
        return order[:count]
    turns, numbered = Counter[int](), list[tuple[int, int, int]]()
    for position in order:
        number = int(answers.targets[position])
        numbered.append((turns[number], len(numbered), position))
        turns[number] += 1
    return [position for *_, position in sorted(numbered)[:count]]


def _sureness(answers: Answers) -> Tensor:
    if answers.task == "classification":
        return answers.given.max(dim=1).values
    return (answers.given - LABEL_THRESHOLD).abs().min(dim=1).values


def _several(answers: Answers) -> bool:
    return answers.task == "regression" and answers.given.shape[1] > 1


class Verdict(NamedTuple):
    """The true and the predicted answer for an image, as texts; ``probability`` is ``None`` for a value."""

    true: str
    predicted: str
    probability: float | None


def in_words(task: Task, class_names: Sequence[str], target: Tensor) -> str:
    """Return a target as text: a class number (), labels 0, 1 or NaN (K,), or a value."""
    if task == "regression":
        values = [f"{value:.6g}" for value in target.reshape(-1).tolist()]
        return ", ".join(f"{name} {value}" for name, value in zip(class_names, values, strict=False)) or values[0]
    if not target.ndim:
        return class_names[int(target)]
    held = ", ".join(class_names[number] for number in (target > 0).nonzero().flatten().tolist()) or "none"
    unknown = ", ".join(class_names[number] for number in target.isnan().nonzero().flatten().tolist())
    return held + (f" (unknown: {unknown})" if unknown else "")


def verdict(answers: Answers, position: int) -> Verdict:
    """Return the true and the predicted answer for one image of the pass."""
    given, target = answers.given[position], answers.targets[position]
    words = partial(in_words, answers.task, answers.class_names)
    if answers.task == "regression":
        return Verdict(words(target), words(given), None)
    if answers.task == "classification":
        best = given.argmax()
        return Verdict(words(target), words(best), float(given[best]))
    chosen, holds = given >= LABEL_THRESHOLD, target > 0
    wrong = torch.where(holds, 1 - given, given).masked_fill(target.isnan(), -1.0).argmax()
    return Verdict(words(target), words(chosen), float(given[wrong]))


def summary_of(answers: Answers) -> dict[str, Any]:
    """Describe the pass in plain values, for ``evaluation/SPLIT.json``; pictures are added elsewhere."""
    content: dict[str, Any] = {
        "split": answers.outputs.split,
        "epoch": answers.outputs.epoch,
        "images": len(answers.given),
        "task": answers.task,
        "class_names": list(answers.class_names),
        **answers.calibration._asdict(),
    }
    if answers.task == "regression":
        pairs = torch.stack([answers.targets[:, 0], answers.given[:, 0]], dim=1)
        pairs = pairs[pairs.isfinite().all(dim=1)]
        chosen = torch.linspace(0, len(pairs) - 1, min(len(pairs), _SCATTERED)).long()
        return content | {
            **{"confusion": None, "per_class": [], "calibration": None},
            # Columns of different units do not fit into one chart.
            "scatter": None
            if _several(answers)
            else [[float(f"{v:.6g}") for v in pair] for pair in pairs[chosen].tolist()],
        }
    matrix = confusion_matrix(answers).tolist() if answers.task == "classification" else None
    calibration = None
    if answers.given.isfinite().all():  # else the loss was not finite
        both = {"before": AS_TRAINED, "after": answers.calibration}
        calibration = {name: _as_dict(reliability(answers, value)) for name, value in both.items()}
    return content | {
        **{"confusion": matrix, "per_class": per_class_rows(answers)},
        **{"calibration": calibration, "scatter": None},
    }


def per_class_rows(answers: Answers) -> list[dict[str, Any]]:
    """List the number of images, accuracy, precision and F1 of each class; ``None`` if undefined."""
    scores = class_scores(answers)
    return [
        {"name": name, "images": int(scores.images[n])}
        | {key: _number(float(getattr(scores, key)[n])) for key in ("accuracy", "precision", "f1")}
        for n, name in enumerate(answers.class_names)
    ]


def _as_dict(found: Reliability) -> dict[str, Any]:
    bins = [
        {"low": n / BINS, "high": (n + 1) / BINS, "count": count, "confidence": _number(mean), "accuracy": _number(hit)}
        for n, (count, mean, hit) in enumerate(zip(*(part.tolist() for part in found[:3]), strict=True))
    ]
    return {"ece": found.ece, "bins": bins}


def _number(value: float) -> float | None:
    return None if value != value else value
