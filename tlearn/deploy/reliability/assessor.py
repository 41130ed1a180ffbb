"""Tell of each picture what its answer is worth, from what the head saw of it and answered.

B pictures, D features, K outputs, M known training pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.intervals import percent
from tlearn.base.types import Task
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.deploy.reliability.rules import rules_for
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.answer_sets import answer_sets, label_sets
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.intervals import intervals
from tlearn.models.reliability.strangers import (
    LEAST_HELD_OUT,
    STRANGER_SHARE,
    StrangerDetector,
    scores_of,
    stranger_share,
)

_NAMES_OF_UNKNOWN = ("unknown", "abstained", "no answer")


class Neighbour(NamedTuple):
    """A training picture that looks like the one that was asked about.

    Attributes:
        name: Its path as the run has it, or its number in the data.
        label: Its class, its classes joined by ``;``, or its value.
        distance: Cosine distance of what the head sees of both: 0 for the same, at most 2.
    """

    name: str
    label: str
    distance: float


@dataclass(frozen=True)
class Assessment:
    """What the answer for a picture is worth; nothing that was not asked for.

    Attributes:
        answer_set: Names of the classes in its set; where an image may have several, those that may hold. ``None``
            without `coverage`.
        low: Lower ends of the intervals of K values; empty without `coverage`.
        high: Upper ends.
        stranger: Share of held-out pictures that look less strange, 0 to 1; ``None`` where a run has not kept them.
        why_unknown: Why there is no answer: ``confidence``, ``stranger``, or both; empty for an answer.
        unknown_labels: Where an image may have several classes, those of too little confidence.
        nearest: Training pictures that look most like it, the nearest first.
    """

    answer_set: list[str] | None = None
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    stranger: float | None = None
    why_unknown: tuple[str, ...] = ()
    unknown_labels: list[str] = field(default_factory=list)
    nearest: list[Neighbour] = field(default_factory=list)

    @property
    def is_stranger(self) -> bool:
        """Tell whether it looks stranger than 95 % of held-out pictures."""
        return self.stranger is not None and self.stranger > STRANGER_SHARE

    def shown(self, columns: Sequence[str]) -> list[tuple[str, object]]:
        """Return it as names and values for a reader; columns are those of a regression that has several."""
        rows: list[tuple[str, object]] = []
        if self.answer_set is not None:
            rows.append(("set", ", ".join(self.answer_set)))
        ends = zip(self.low, self.high, strict=True)
        rows += [
            (f"{name} from, to", f"{low:.4g}, {high:.4g}")
            for name, (low, high) in zip(columns or ["value"], ends, strict=False)
        ]
        if self.stranger is not None:
            rows.append(("stranger", percent(self.stranger)))
        if self.why_unknown or self.unknown_labels:
            rows.append(("unknown", ", ".join((*self.why_unknown, *self.unknown_labels))))
        return rows + [("nearest", f"{n.name} ({n.label}, {n.distance:.3f})") for n in self.nearest]


UNASSESSED = Assessment()


class Assessor:
    """Assesses the answers of one network.

    Args:
        evidence: What its run kept.
        calibration: What turns its logits into probabilities.
        options: What is asked, checked before.

    Attributes:
        task: The network's.
        class_names: K names.
        rules: What held-out pictures have settled.
        knows_strangers: The run kept what strangers are told by.
        tells_strangers: It held out enough pictures for one to be stranger than 95 % of them.
        unknown: The word for no answer: ``unknown``, or another one where that is a class.
        held_out: What the promises rest on, in words: ``244 out-of-fold pictures``.

    Raises:
        TlearnError: The run has kept too little for what is asked; see `rules_for`.
    """

    def __init__(self, evidence: Evidence, calibration: Calibration, options: ReliabilityOptions) -> None:
        self.task: Task = evidence.task
        self.class_names, self.options, self._calibration = evidence.class_names, options, calibration
        self.rules = rules_for(evidence, calibration, options)
        self.unknown = next(name for name in (*_NAMES_OF_UNKNOWN, "-") if name not in self.class_names)
        kind = "out-of-fold" if evidence.source == "out of fold" else "validation"
        self.held_out = f"{evidence.held_out:,} {kind} pictures"
        self.groups = 0 if evidence.groups is None else len(evidence.groups.unique())
        self.knows_strangers = bool(evidence.strangers) and len(evidence.stranger_scores) > 0
        self.tells_strangers = self.knows_strangers and len(evidence.stranger_scores) >= LEAST_HELD_OUT
        if self.knows_strangers:
            self.detector = StrangerDetector.restored(evidence.strangers)
            self.stranger_scores = evidence.stranger_scores
        if options.nearest:
            self._known, self._known_names = evidence.known, evidence.known_names
            self._known_labels = labels_of(evidence.task, evidence.class_names, evidence.known_targets)

    def assess(self, features: Tensor, outputs: Tensor) -> list[Assessment]:
        """Assess the answers for pictures, each by itself: nothing depends on the others.

        Args:
            features: What the head saw, (B, D).
            outputs: What it answered: logits (B, K) before calibration; values of a regression in the user's unit.

        Raises:
            TlearnError: They are not finite.
        """
        features, outputs = features.detach().float().cpu(), outputs.detach().float().cpu()
        rows = zip(features.split(1), outputs.split(1), strict=True)
        # Products of matrices round a row in unlike ways in unlike company, and where it lies in memory.
        return [self._assessed(row.clone(), output.clone()) for row, output in rows]

    def _assessed(self, features: Tensor, outputs: Tensor) -> Assessment:
        """Assess one answer: features (1, D), outputs (1, K)."""
        answers = answers_of(self.task, outputs, self._calibration)
        stranger, (low, high), unsure = (
            self._stranger(features, outputs),
            self._interval(answers),
            self._unsure(answers),
        )
        return Assessment(
            answer_set=self._set(answers),
            low=low,
            high=high,
            stranger=stranger,
            why_unknown=self._why(unsure, stranger),
            unknown_labels=self._named(unsure) if self.task == "multilabel" else [],
            nearest=self._nearest(features),
        )

    def _stranger(self, features: Tensor, outputs: Tensor) -> float | None:
        if not self.knows_strangers:
            return None
        return float(stranger_share(scores_of(self.detector, features, outputs), self.stranger_scores))

    def _set(self, answers: Tensor) -> list[str] | None:
        rule = self.rules.sets
        if rule is None:
            return None
        found = label_sets(rule, answers)[..., 1] if rule.method == "labels" else answer_sets(rule, answers)
        return self._named(found[0].tolist())

    def _interval(self, answers: Tensor) -> tuple[list[float], list[float]]:
        if self.rules.intervals is None:
            return [], []
        low, high = intervals(self.rules.intervals, answers)
        return low[0].tolist(), high[0].tolist()

    def _unsure(self, answers: Tensor) -> list[bool]:
        """Return which answers are not given for want of confidence: one of a picture, or one for each label."""
        if not self.rules.thresholds:
            return []
        several = self.task == "multilabel"
        sure = torch.maximum(answers, 1 - answers) if several else answers.amax(dim=1, keepdim=True)
        least = [float("inf") if each.confidence is None else each.confidence for each in self.rules.thresholds]
        return list((sure.double() < torch.tensor(least, dtype=torch.float64))[0].tolist())

    def _why(self, unsure: list[bool], stranger: float | None) -> tuple[str, ...]:
        is_stranger = self.options.unknown and stranger is not None and stranger > STRANGER_SHARE
        nothing_sure = bool(unsure) and all(unsure)
        return ("confidence",) * nothing_sure + ("stranger",) * is_stranger

    def _nearest(self, features: Tensor) -> list[Neighbour]:
        if not self.options.nearest or not len(self._known):
            return []
        found = self._known.nearest(features, self.options.nearest)
        return [
            Neighbour(self._known_names[row], self._known_labels[row], distance)
            for distance, row in zip(found.distances[0].tolist(), found.rows[0].tolist(), strict=True)
        ]

    def _named(self, marks: Sequence[bool]) -> list[str]:
        return [name for name, is_in in zip(self.class_names, marks, strict=True) if is_in] if marks else []


def labels_of(task: Task, class_names: Sequence[str], targets: Tensor) -> list[str]:
    """Return the targets of training pictures as text.

    Args:
        task: What the targets are.
        class_names: K names.
        targets: Class numbers (M,), labels (M, K), or values (M,) or (M, K).
    """
    if task == "regression":
        return [";".join(f"{value:g}" for value in row) for row in targets.reshape(len(targets), -1).tolist()]
    if task == "multilabel":
        return [";".join(name for name, y in zip(class_names, row, strict=True) if y == 1) for row in targets.tolist()]
    return [class_names[number] for number in targets.tolist()]
