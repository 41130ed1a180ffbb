"""Replacements of Lightning's own parts: the profiler, and the start of weight averaging."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.profilers import PassThroughProfiler

_NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Time nothing. Lightning's own makes a generator for each of a step's hundred hooks: 5 % of a head step."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # a decorated generator
        """Return a context that does nothing."""
        return _NOTHING


@torch.no_grad()
def begin_averages(callbacks: Iterable[Callback], module: LightningModule) -> None:
    """Copy the network of the first step into the callbacks that average weights.

    Lightning copies it earlier, before the head is solved and the unit of a regression is known. Validation uses this
    copy until averaging starts.

    Args:
        callbacks: The trainer's; those that average no weights are skipped.
        module: The network before its first step.
    """
    for callback in callbacks:
        copy = callback._average_model if isinstance(callback, WeightAveraging) else None
        if copy is not None:
            theirs = itertools.chain(copy.module.parameters(), copy.module.buffers())
            for averaged, own in zip(theirs, itertools.chain(module.parameters(), module.buffers()), strict=True):
                averaged.copy_(own)
