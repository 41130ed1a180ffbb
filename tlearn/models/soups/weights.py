"""Mix the weights of networks of one architecture, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def interpolate(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return ``(1 - share) * start + share * tuned``, also for BatchNorm statistics; counters are those of ``tuned``.

    Args:
        start: State dict before the first step.
        tuned: State dict with the same keys and shapes.
        share: From 0 (start, exactly) to 1 (tuned, exactly).
    """
    mixed = {}
    for name, value in tuned.items():
        both = (start[name], value)
        mixed[name] = torch.lerp(*both, share) if value.is_floating_point() else value.clone()
    return mixed


def uniform_soup(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of all weights (uniform soup; Wortsman et al., 2022, arXiv 2203.05482).

    BatchNorm statistics are averaged too, which is right only where they are the same in all; see `norms_apart`.

    Args:
        states: State dicts with the same keys and shapes, at least one.
    """
    mean = dict(states[0])
    for number, state in enumerate(states[1:], start=2):
        mean = interpolate(mean, state, 1 / number)
    return mean
