"""The map: pictures that are alike to the network lie beside each other, and it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tlearn.analysis.pool import map as mapping
from tlearn.analysis.pool.map import positions, stored_positions


def clusters(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % 3
    return torch.eye(3, 16)[labels] + 0.05 * torch.randn(count, 16, generator=torch.Generator().manual_seed(0)), labels


@pytest.mark.parametrize("landmarks", [40, 2000])
def test_the_nearest_on_the_map_is_of_the_same_cluster(landmarks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "_LANDMARKS", landmarks)
    features, labels = clusters(120)
    places = positions(features)
    assert places.min() == 0
    assert places.max() == 1
    nearest = (torch.cdist(places, places) + 9 * torch.eye(120)).argmin(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.95


def test_the_same_each_time_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    features, _ = clusters(30)
    first = stored_positions(features)
    monkeypatch.setattr(mapping, "positions", lambda features: pytest.fail("computed again"))
    assert torch.equal(stored_positions(features), first)


@pytest.mark.parametrize("features", [torch.zeros(50, 4), torch.ones(1, 4), torch.eye(3, 1)])
def test_few_or_equal_pictures_have_a_place(features: torch.Tensor) -> None:
    places = positions(features)
    assert places.shape == (len(features), 2)
    assert bool(places.isfinite().all())
