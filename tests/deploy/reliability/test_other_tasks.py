"""Several labels a picture, and values: what an answer is worth, and its columns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tlearn.base.errors import TlearnError
from tlearn.base.types import Task
from tlearn.deploy.prediction_table import rows_of
from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.columns import columns_beside, with_assessments
from tlearn.deploy.reliability.exported import WorthOutputs
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.models.calibration import AS_TRAINED
from tlearn.models.losses import answers_of
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.strangers import fit_detector, held_out_scores

COUNT = 200


def evidence_for(task: Task, names: list[str], logits: torch.Tensor, targets: torch.Tensor) -> Evidence:
    draws = torch.Generator().manual_seed(1)
    features = torch.randn(COUNT, 8, generator=draws) + 3
    scores = held_out_scores(features, targets, logits)
    state = dict(fit_detector(features, targets, logits).state_dict())
    held = (logits, targets, None, scores, state, features.half(), targets, [str(row) for row in range(COUNT)])
    return Evidence("x", task, names, COUNT, "validation", *held, features.half())


@pytest.fixture
def labels() -> Evidence:
    draws = torch.Generator().manual_seed(0)
    truth = (torch.rand(COUNT, 2, generator=draws) < 0.5).float()
    logits = (2 * truth - 1) * torch.tensor([6.0, 1.0]) + torch.randn(COUNT, 2, generator=draws)
    return evidence_for("multilabel", ["ant", "bee"], logits, truth)


@pytest.fixture
def values() -> Evidence:
    draws = torch.Generator().manual_seed(0)
    targets = torch.randn(COUNT, 2, generator=draws) * 10
    return evidence_for("regression", ["age", "size"], targets + torch.randn(COUNT, 2, generator=draws), targets)


def table(evidence: Evidence, options: ReliabilityOptions, outputs: torch.Tensor) -> list[dict[str, Any]]:
    assessor = Assessor(evidence, AS_TRAINED, options)
    features = evidence.known_features[: len(outputs)].float()
    first = {"multilabel": ["classes", "p_ant", "p_bee"], "regression": ["value_age", "value_size"]}[evidence.task]
    rows = rows_of(evidence.task, evidence.class_names, 5, answers_of(evidence.task, outputs, AS_TRAINED))
    found = with_assessments(assessor, rows, assessor.assess(features, outputs))
    columns = [*first, *columns_beside(assessor)]
    return [dict(zip(columns, row, strict=True)) for row in found]


def test_a_label_is_answered_where_another_is_not(labels: Evidence) -> None:
    options = ReliabilityOptions(coverage=0.9, min_accuracy=0.85, nearest=1)
    sure, unsure = table(labels, options, torch.tensor([[6.0, -4.0], [6.0, 0.1]]))
    assert (sure["classes"], sure["unknown_classes"], sure["why_unknown"]) == ("ant", "", "")
    assert (unsure["classes"], unsure["unknown_classes"], unsure["why_unknown"]) == ("ant", "bee", "")
    assert (sure["set"], unsure["set"]) == ("ant", "ant;bee")
    assert unsure["nearest_1_label"] in ("", "ant", "bee", "ant;bee")
    (nothing,) = table(labels, options, torch.zeros(1, 2))
    assert (nothing["classes"], nothing["why_unknown"], nothing["unknown_classes"]) == (
        "unknown",
        "confidence",
        "ant;bee",
    )


def test_values_have_intervals(values: Evidence) -> None:
    (row,) = table(values, ReliabilityOptions(coverage=0.9), torch.tensor([[1.0, 2.0]]))
    ends = ["value_age_low", "value_age_high", "value_size_low", "value_size_high"]
    assert list(row) == ["value_age", "value_size", *ends, "stranger"]
    assert row["value_age_low"] == pytest.approx(1 - (row["value_age_high"] - 1), abs=1e-5)
    assert 1.3 < row["value_age_high"] - 1 < 2.1  # 1.64 deviations of 1
    for options, words in (
        (ReliabilityOptions(min_accuracy=0.9), "the values of a regression are not right or wrong"),
        (ReliabilityOptions(coverage=0.9, coverage_by="class"), "the values of a regression have no classes"),
    ):
        with pytest.raises(TlearnError, match=words):
            Assessor(values, AS_TRAINED, options)


def test_a_value_of_a_stranger_is_left_out(values: Evidence) -> None:
    assessor = Assessor(values, AS_TRAINED, ReliabilityOptions(coverage=0.9, unknown=True))
    (far,) = assessor.assess(torch.tensor([[90.0, -90, 90, -90, 90, -90, 90, -90]]), torch.zeros(1, 2))
    assert far.is_stranger
    (row,) = with_assessments(assessor, [[0.0, 0.0]], [far])
    assert row == [None, None, None, None, None, None, far.stranger, "stranger"]


@pytest.mark.parametrize("kind", ["labels", "values"])
def test_further_outputs_are_those_of_the_table(kind: str, request: pytest.FixtureRequest) -> None:
    evidence: Evidence = request.getfixturevalue(kind)
    least = 0.95 if kind == "labels" else None
    assessor = Assessor(evidence, AS_TRAINED, ReliabilityOptions(coverage=0.9, min_accuracy=least, unknown=True))
    features, outputs = evidence.known_features.float(), evidence.logits
    answers = answers_of(evidence.task, outputs, AS_TRAINED)
    module = WorthOutputs(assessor)
    found = dict(zip(module.names, module(features, outputs, answers), strict=True))
    for row, each in enumerate(assessor.assess(features, outputs)):
        assert float(found["stranger"][row]) == pytest.approx(each.stranger)
        if kind == "values":
            assert found["low"][row].tolist() == each.low
            assert bool(found["answered"][row]) == (not each.why_unknown)
            continue
        assert [n for n, is_in in zip(evidence.class_names, found["answer_set"][row], strict=True) if is_in] == (
            each.answer_set
        )
        unknown = [n for n, is_in in zip(evidence.class_names, found["answered"][row], strict=True) if not is_in]
        assert unknown == (evidence.class_names if "stranger" in each.why_unknown else each.unknown_labels)


def test_features_that_are_not_finite(labels: Evidence) -> None:
    assessor = Assessor(labels, AS_TRAINED, ReliabilityOptions())
    with pytest.raises(TlearnError, match="are not finite"):
        assessor.assess(torch.full((1, 8), torch.nan), torch.zeros(1, 2))
