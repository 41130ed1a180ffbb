"""Answer sets, intervals and tails are those of mapie, where it is installed (see benchmarks/believe/sets_mapie.py)."""

from __future__ import annotations

import pytest

from benchmarks.believe import sets_mapie
from tlearn.models.reliability.answer_sets import Method

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _mapie() -> None:
    pytest.importorskip("mapie", reason="mapie is not installed: see benchmarks/believe/sets_mapie.py")


@pytest.mark.parametrize("method", ["lac", "raps"])
def test_sets_are_those_of_mapie(method: Method) -> None:
    off, differing, total = sets_mapie.compare_sets(method)
    assert off == 0
    assert differing <= total * 1e-5  # mapie lets in what is 1e-8 above the threshold


def test_intervals_quantiles_and_tails_are_those_of_mapie() -> None:
    assert sets_mapie.compare_intervals() == 0
    assert sets_mapie.compare_quantile() == 0
    assert sets_mapie.compare_tails() < 1e-10
