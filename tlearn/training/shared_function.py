"""What a module keeps of the functions that it was given, so that it can be copied and sent to other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class SharedFunction:
    """A function that copies of a module share: what the command line gives holds all of it, the data too.

    A pickle holds the function by its name, so a lambda of the user's cannot be sent; a function of a module can.

    Args:
        make: Takes parameter groups, or an optimizer.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __call__(self, given: Any) -> Any:
        """Call the function."""
        return self.make(given)

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedFunction:
        """Share, do not copy."""
        return self


def tutorial_optimizer(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """Return the tutorial's optimizer: the lambda that is the option's default, under a name."""
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
