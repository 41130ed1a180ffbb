"""See what the parts of a network get and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Call(NamedTuple):
    """One call of a part.

    Attributes:
        name: The part's name.
        part: The part.
        given: Its first input.
        output: What it returned.
    """

    name: str
    part: nn.Module
    given: Tensor
    output: Tensor


def observe(network: nn.Module, images: Tensor, *kinds: type[nn.Module]) -> list[Call]:
    """Run a network once, and return the calls of its parts of exactly these kinds, in their order.

    Args:
        network: In eval mode, so that nothing about it changes.
        images: What it gets, float (B, C, H, W).
        kinds: Subclasses do not count: they may compute something else.
    """
    calls: list[Call] = []

    def noting(name: str) -> Callable[..., None]:
        """Return a hook that notes the calls of the part of that name."""

        def note(part: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
            """Note one call."""
            calls.append(Call(name, part, given[0], output))

        return note

    parts = [(name, part) for name, part in network.named_modules() if type(part) in kinds]
    hooks = [part.register_forward_hook(noting(name)) for name, part in parts]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return calls
