"""Rules fitted on a run's held-out pictures: which classes are in a set, and from which confidence on to answer.

N held-out pictures, K outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.abstention import Threshold, check_can_abstain, confidence_by_label, confidence_for
from tlearn.models.reliability.answer_sets import SetRule, fit_label_sets, fit_sets
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.intervals import IntervalRule, fit_intervals


class Rules(NamedTuple):
    """What held-out pictures have settled.

    Attributes:
        sets: Of answer sets; ``None`` where none are asked for, and of a regression.
        intervals: Of a regression's values likewise.
        thresholds: From which confidence on answers are given: one, or one for each of several labels; empty where
            all are given.
    """

    sets: SetRule | None = None
    intervals: IntervalRule | None = None
    thresholds: tuple[Threshold, ...] = ()


def rules_for(evidence: Evidence, calibration: Calibration, options: ReliabilityOptions) -> Rules:
    """Fit the rules that are asked for.

    Args:
        evidence: Of the run.
        calibration: Of the network that answers.
        options: Checked before.

    Raises:
        TlearnError: The task has no such rule, there are no held-out pictures or groups, or too few for the promise.
    """
    if options.min_accuracy is not None:
        check_can_abstain(evidence.task)
    if options.coverage is None and options.min_accuracy is None:
        return Rules()
    if not evidence.held_out:
        raise TlearnError(f"{options.asked}: the run held out no pictures to promise it by; fit again with validation")
    if options.coverage_by == "group" and evidence.groups is None:
        raise TlearnError(
            "coverage_by group: the run's pictures are in no groups; fit again with --data.init_args.group, or drop it"
        )
    answers, targets = answers_of(evidence.task, evidence.logits, calibration), evidence.targets
    groups = evidence.groups if options.coverage_by == "group" else None
    if evidence.task == "regression":
        return Rules(intervals=_intervals(answers, targets, groups, options))
    thresholds = _thresholds(answers, targets, groups, options, evidence.class_names)
    return Rules(_sets(answers, targets, groups, options), None, thresholds)


def _intervals(values: Tensor, targets: Tensor, groups: Tensor | None, options: ReliabilityOptions) -> IntervalRule:
    if options.coverage_by == "class":
        raise TlearnError("coverage_by class: the values of a regression have no classes; leave it out")
    assert options.coverage is not None
    return fit_intervals(values, targets.reshape(values.shape), options.coverage, groups)


def _sets(probabilities: Tensor, targets: Tensor, groups: Tensor | None, options: ReliabilityOptions) -> SetRule | None:
    if options.coverage is None:
        return None
    by_class = options.coverage_by == "class"
    if targets.ndim == 2:
        return fit_label_sets(probabilities, targets, options.coverage, groups, by_class)
    return fit_sets(probabilities, targets, options.coverage, groups=groups, by_class=by_class)


def _thresholds(
    probabilities: Tensor,
    targets: Tensor,
    groups: Tensor | None,
    options: ReliabilityOptions,
    class_names: list[str],
) -> tuple[Threshold, ...]:
    if options.min_accuracy is None:
        return ()
    if targets.ndim == 2:
        found = tuple(confidence_by_label(probabilities, targets, options.min_accuracy, groups=groups))
    else:
        found = (confidence_for(probabilities, targets, options.min_accuracy, groups=groups),)
    if all(each.confidence is None for each in found):
        best = min(found, key=lambda each: each.needed or 10**9)
        raise _impossible(best, groups is not None)
    assert len(found) in (1, len(class_names))
    return found


def _impossible(threshold: Threshold, in_groups: bool) -> TlearnError:
    unit = "groups" if in_groups else "pictures"
    said = f"min_accuracy {threshold.min_accuracy:g} cannot be promised by {threshold.held_out} held-out {unit}"
    if threshold.needed is None:
        return TlearnError(f"{said}: even the surest answers are wrong more often; ask for less, or train it better")
    return TlearnError(f"{said}; about {threshold.needed:,} would do if answers stay as good; label more, or ask less")
