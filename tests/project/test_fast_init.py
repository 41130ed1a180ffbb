"""Weights that the tests remember have the bits of weights that are drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_uniform_", {"a": 5**0.5}),
        ("trunc_normal_", {"std": 0.02}),
    ],
)
def test_remembered_weights_have_the_bits_of_drawn_ones(name: str, options: dict[str, Any]) -> None:
    remembered = getattr(nn.init, name)
    for seed in (1, 2, 1):
        for columns in (200, 300):
            found = []
            for draw in (remembered, remembered.__wrapped__):
                torch.manual_seed(seed)
                found.append((draw(torch.empty(100, columns), **options), torch.get_rng_state()))
            assert torch.equal(found[0][0], found[1][0])
            assert torch.equal(found[0][1], found[1][1])
