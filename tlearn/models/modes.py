"""Be in eval mode for a while, and leave every part in the mode that it was in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def keeping_modes(module: nn.Module) -> Iterator[None]:
    """Put every part of a module back into its own mode, training or eval, afterwards."""
    modes = {part: part.training for part in module.modules()}
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode without gradients; every part of it is in its own mode again afterwards."""
    with keeping_modes(module), torch.no_grad():
        module.eval()
        yield
