"""Nearest neighbours by cosine distance."""

from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from tlearn.base.errors import TlearnError
from tlearn.models.reliability import neighbours
from tlearn.models.reliability.neighbours import KnownFeatures


def test_they_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_MOST_CELLS", 900)  # many blocks, the last one smaller
    generator = torch.Generator().manual_seed(0)
    known, features = torch.randn(300, 16, generator=generator), torch.randn(70, 16, generator=generator)
    wanted, rows = NearestNeighbors(n_neighbors=5, metric="cosine").fit(known).kneighbors(features)
    found = KnownFeatures(known).nearest(features, 5)
    assert torch.equal(found.rows, torch.from_numpy(rows))
    torch.testing.assert_close(found.distances, torch.from_numpy(wanted).float(), atol=1e-5, rtol=0)


def test_equal_distances_stand_by_row() -> None:
    known = torch.tensor([[0.0, 1], [1, 0], [2, 0], [0, 3], [4, 0]])
    found = KnownFeatures(known).nearest(torch.tensor([[1.0, 0]]), 4)
    assert found.rows.tolist() == [[1, 2, 4, 0]]
    assert found.distances.tolist() == [[0, 0, 0, 1]]


def test_half_precision_is_computed_in_float32() -> None:
    known = torch.full((3, 2000), 100.0).half()  # the squares would overflow
    found = KnownFeatures(known).nearest(known[:1], 9)
    assert found.rows.tolist() == [[0, 1, 2]]
    assert found.distances.dtype == torch.float32
    assert found.distances.max() < 1e-5


def test_no_pictures_have_no_neighbours() -> None:
    found = KnownFeatures(torch.ones(3, 2)).nearest(torch.ones(0, 2), 2)
    assert found.distances.shape == found.rows.shape == (0, 2)


@pytest.mark.parametrize(
    ("known", "features", "count", "told"),
    [
        (torch.ones(2, 3), torch.ones(1, 3), 0, "0 nearest pictures were asked for; ask for 1 or more"),
        (torch.ones(2, 3), torch.ones(1, 4), 1, "the known pictures have 3 features, these have 4; take the network"),
        (torch.ones(2, 3), torch.full((4, 3), torch.nan), 1, "the features are not finite for 4 of 4 pictures"),
        (torch.tensor([[1.0], [-torch.inf]]), torch.ones(1, 1), 1, "the known features are not finite for 1 of 2"),
        (torch.ones(3), torch.ones(1, 3), 1, r"the known features have the shape \(3,\)"),
    ],
)
def test_what_cannot_be_compared_is_told(known: torch.Tensor, features: torch.Tensor, count: int, told: str) -> None:
    with pytest.raises(TlearnError, match=told):
        KnownFeatures(known).nearest(features, count)
