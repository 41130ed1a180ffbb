"""New pictures compared with the evidence of a run, and the accuracy to expect of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tlearn.models.calibration import AS_TRAINED
from tlearn.models.reliability.drift import Comparison, compare
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.expected_accuracy import expected_accuracy, right_of


def normal(count: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.fixture
def evidence() -> Evidence:
    features, nothing = normal(90, 0), torch.empty(0)
    logits = features[:, :2] * 2
    return Evidence(
        *("", "classification", ["ant", "bee"], 90, "out of fold", logits, logits.argmax(dim=1), None, nothing, {}),
        *(features.half(), logits.argmax(dim=1), [], features.half(), {"brightness": features[:, 2]}),
    )


def compared(evidence: Evidence, features: Tensor, brightness: float = 0.0) -> Comparison | None:
    known = {"brightness": features[:, 2] + brightness, "sharpness": features[:, 3]}
    return compare(evidence, AS_TRAINED, features, features[:, :2] * 2, known)


def test_either_test_finds_a_difference(evidence: Evidence) -> None:
    alike, moved, brighter = (
        compared(evidence, normal(50, 1)),
        compared(evidence, normal(50, 1, shift=0.8)),
        compared(evidence, normal(50, 1), brightness=1.0),
    )
    assert alike
    assert moved
    assert brighter
    assert (alike.alike, moved.alike, brighter.alike) == (True, False, False)
    assert brighter.test.p > 0.05
    assert brighter.p == 2 * 0.001
    assert [each.name for each in brighter.moved_most] == ["brightness"]
    assert not alike.moved_most


def test_a_folder_of_one_class_is_not_like_the_mixture(evidence: Evidence) -> None:
    features = normal(300, 1)
    bees = compared(evidence, features[features[:, 1] > features[:, 0] + 1])
    assert bees
    assert not bees.alike
    assert {(each.name, each.after) for each in bees.classes} == {("bee", 1.0), ("ant", 0.0)}


def test_a_new_site_is_alike_if_the_run_has_seen_sites_as_different(evidence: Evidence) -> None:
    shifts = torch.tensor([-1.0, 0.0, 1.0]).repeat_interleave(30)[:, None]
    sites = replace(
        evidence,
        reference_features=(normal(90, 0) + shifts).half(),
        reference_groups=torch.arange(3).repeat_interleave(30),
    )
    near, far = compared(sites, normal(50, 1, shift=0.9)), compared(sites, normal(50, 1, shift=4.0))
    assert near
    assert far
    assert near.groups == 3
    assert near.test.p <= 0.05
    assert near.alike
    assert not far.alike


def test_seven_pictures_tell_nothing(evidence: Evidence) -> None:
    assert compared(evidence, normal(7, 1)) is None


def test_expected_accuracy_follows_confidence_and_admits_more_below() -> None:
    sure, right = torch.full((200,), 0.9), torch.tensor([1.0] * 9 + [0.0]).repeat(20)
    same = expected_accuracy(sure, right, torch.full((100,), 0.9))
    assert same.share == pytest.approx(0.9)
    assert same.before == pytest.approx(0.9)
    assert same.high - same.share == pytest.approx(same.share - same.low, abs=0.02)
    less = expected_accuracy(sure, right, torch.full((100,), 0.7), strangers=0.2)
    assert less.share == pytest.approx(0.7)
    assert less.low < less.share - 0.4
    assert less.high < 0.85


def test_unknown_labels_count_for_nothing() -> None:
    probabilities = torch.tensor([[0.9, 0.2], [0.9, 0.2]])
    targets = torch.tensor([[1.0, float("nan")], [0.0, 0.0]])
    assert right_of("multilabel", probabilities, targets).tolist() == [1.0, 0.5]
