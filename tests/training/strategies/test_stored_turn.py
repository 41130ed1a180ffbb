"""Turned features are kept beside the features, and are the same to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tlearn.analysis.doubt.answers import UNKNOWN, Head
from tlearn.base.feature_store import FOLDER
from tlearn.training.strategies import stored_turn as storing
from tlearn.training.strategies.head_solver import turn
from tlearn.training.strategies.stored_turn import stored_turn


@pytest.fixture(autouse=True)
def _store_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storing, "_FEWEST_NUMBERS", 0)


def features_of(count: int = 60, width: int = 8) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0)) + 3


def turn_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "turn", lambda *_: pytest.fail("turned again"))


def assert_as_turned(features: Tensor) -> None:
    found, wanted = stored_turn(features), turn(features, torch.ones(len(features)))
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.stride() == theirs.stride()
        assert torch.equal(mine, theirs)
    assert torch.equal(found.turned(features[:3]), wanted.turned(features[:3]))


def test_read_again_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_as_turned(features_of())
    turn_no_more(monkeypatch)
    assert_as_turned(features_of())


def test_other_features_are_turned_anew() -> None:
    stored_turn(features_of())
    assert_as_turned(features_of() + 1)
    assert len(list(FOLDER.glob("*.npy"))) == 2


def test_a_damaged_entry_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    stored_turn(features_of())
    (entry,) = FOLDER.glob("*.npy")
    entry.write_bytes(entry.read_bytes()[:-4] + b"\0\0\0\1")
    assert_as_turned(features_of())
    turn_no_more(monkeypatch)
    assert_as_turned(features_of())


@pytest.mark.parametrize("width", [8, 100])
def test_little_is_not_kept(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "_FEWEST_NUMBERS", 0 if width > 60 else 481)
    assert_as_turned(features_of(width=width))
    assert not FOLDER.exists()


def test_where_nothing_can_be_written_it_is_turned_each_time() -> None:
    FOLDER.parent.mkdir()
    FOLDER.write_text("a file")
    assert_as_turned(features_of())


@pytest.mark.parametrize("keeps", [True, False])
def test_answers_are_the_same_and_a_part_is_never_kept(keeps: bool) -> None:
    features, labels = features_of(), torch.arange(60) % 3
    wanted = Head(features).answers(labels, 3)
    assert not FOLDER.exists()
    for _ in range(2):
        assert torch.equal(Head(features, keeps_turned=keeps).answers(labels, 3).probabilities, wanted.probabilities)
    labels[0] = UNKNOWN
    Head(features, keeps_turned=keeps).answers(labels, 3)
    assert len(list(FOLDER.glob("*.npy"))) == keeps
