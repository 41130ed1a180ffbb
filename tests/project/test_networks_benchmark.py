"""The benchmark of networks: its scores know good features from bad, its table sets a rule beside what heads reach."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.networks import score
from benchmarks.networks.cases import Case
from benchmarks.networks.features import Features
from benchmarks.networks.rules import SCHEDULES
from benchmarks.networks.scores import SCORES
from tlearn.analysis.backbones.halving import MOST_SHARE


def features(noise: float) -> Features:
    """Make two stages of three classes; the more noise, the less they tell."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    rows = torch.nn.functional.one_hot(labels, 3).repeat(1, 4).float() + noise * torch.randn(90, 12, generator=draw)
    return Features(rows, labels, rows[:9], labels[:9], ["stem", "end"], [4, 8], 5.0)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_higher_where_classes_are_apart(name: str) -> None:
    good, bad = (features(noise) for noise in (0.2, 3.0))
    assert SCORES[name](good.train, good.train_labels) > SCORES[name](bad.train, bad.train_labels)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_take_the_good_network_and_count_pictures(name: str) -> None:
    case = Case("made", 24, 0, {"bad": features(3.0), "good": features(0.2), "none": features(9.0)})
    found = SCHEDULES[name](case)
    assert found.network == "good"
    assert 8 / 24 * MOST_SHARE < found.share <= 0.6


def test_regret_is_what_the_best_has_above_the_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = tmp_path / "heads.csv"
    heads.write_text(
        "dataset,labels,draw,network,stage,train_images,test_images,test_acc\n"
        "pcb_defects,25,0,lite0,all,150,600,0.6\npcb_defects,25,1,lite0,all,150,600,0.7\n"
        "pcb_defects,25,0,lite2,all,150,600,0.7\npcb_defects,25,1,lite2,all,150,600,0.64\n"
    )
    from benchmarks.networks.cases import read_heads

    monkeypatch.setattr(score, "read_heads", lambda: read_heads(heads))
    rows = [score.Chosen("pcb_defects", 25, draw, "LogME", name, 1.0) for draw, name in enumerate(("lite0", "lite2"))]
    assert "| LogME | 1.00 / - | - / - | 1.0 / - | 100 % |" in score.table(rows)
