"""The precision that is fastest on this processor, whether or not torch lists what the processor can do."""

from __future__ import annotations

import pytest
import torch

from tlearn.base.machine import best_precision


@pytest.mark.parametrize(("able", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_torch_without_the_list_of_capabilities(able: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    assert best_precision("cpu") == expected


def test_both_ways_to_ask_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, asked = best_precision("cpu"), torch.cpu._is_avx512_bf16_supported()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: asked)
    assert best_precision("cpu") == listed
