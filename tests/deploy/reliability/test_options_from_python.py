"""Options of `Predictor.predict` of another type than they take, from Python."""

from __future__ import annotations

from typing import Any

import pytest

from tlearn.base.errors import TlearnError
from tlearn.deploy.reliability.options import ReliabilityOptions


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"coverage": "a"}, r"coverage: expected a share above 0 and below 1, such as 0\.9; got 'a'"),
        ({"min_accuracy": True}, r"min_accuracy: expected a share .* got True"),
        ({"nearest": 1.5}, r"nearest: expected a number of pictures from 0 to \d+, got 1\.5"),
        ({"unknown": "no"}, "unknown: expected true or false, got 'no'"),
    ],
)
def test_a_value_of_another_type_is_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(TlearnError, match=told):
        ReliabilityOptions(**given).check()
