"""Keep what a head saw and gave last, without changing what a step returns. B pictures, D features, K outputs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class HeadRecord:
    """What went through a head last.

    Args:
        head: The head.

    Attributes:
        features: Its last input (B, D).
        output: Its last output (B, K).
    """

    features: Tensor
    output: Tensor

    def __init__(self, head: nn.Module) -> None:
        self._hook = head.register_forward_hook(self._keep)

    def _keep(self, head: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        self.features, self.output = inputs[0], output

    def end(self) -> None:
        """Keep nothing any more."""
        self._hook.remove()
