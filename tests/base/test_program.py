"""Messages name the program as it was typed, and a share of right answers with what it is worth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

from tlearn.base.intervals import share_interval, share_words


@pytest.mark.parametrize(
    ("words", "name"),
    [([sys.executable, "-m", "tlearn"], "python -m tlearn"), ([str(Path(sys.executable).parent / "tlearn")], "tlearn")],
    ids=["module", "script"],
)
def test_usage_names_what_was_typed(words: list[str], name: str) -> None:
    if not Path(words[0]).exists():
        pytest.skip("tlearn is not installed as a script here")
    done = subprocess.run([*words, "--help"], capture_output=True, text=True)
    assert f"\nusage: {name} VERB" in done.stdout


def test_shares_have_an_interval_where_images_are_few() -> None:
    for right, count in ((124, 153), (5, 5), (0, 7), (1, 1000)):
        expected = binomtest(right, count).proportion_ci(method="wilson")
        assert share_interval(right, count) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert share_words(124, 153) == "81.0 % [74.1, 86.5], 124 of 153"
    assert share_words(5, 5) == "100.0 % [56.6, 100.0], 5 of 5"
    assert share_words(8104, 10000) == "81.0 %, 8,104 of 10,000"
