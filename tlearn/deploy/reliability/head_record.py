"""Keep what a head saw and gave, without changing what a step returns. B pictures, D features, K outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Seen(NamedTuple):
    """What a head saw of B pictures, (B, D), and what it gave, (B, K)."""

    features: Tensor
    output: Tensor


class HeadRecord:
    """What went through a head since it was last asked: pictures go through it one by one.

    Args:
        head: The head.
    """

    def __init__(self, head: nn.Module) -> None:
        self._parts: list[Seen] = []
        self._hook = head.register_forward_hook(self._keep)

    def take(self) -> Seen:
        """Return it, and keep it no longer."""
        parts, self._parts = self._parts, []
        return Seen(*map(torch.cat, zip(*parts, strict=True)))

    def _keep(self, head: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        self._parts.append(Seen(inputs[0], output))

    def end(self) -> None:
        """Keep nothing any more."""
        self._hook.remove()
