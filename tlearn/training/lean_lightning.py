"""Replacements of Lightning's or torch's own way: the profiler, the seed of a step, and where averages begin."""

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


def place_averages(callbacks: Iterable[Callback], module: LightningModule) -> None:
    """Bring averaged weights to the network's device, unless their callback was given another.

    Lightning makes them before it moves the network: on a GPU the whole network would be fetched after every step.
    """
    for callback in callbacks:
        if isinstance(callback, WeightAveraging) and callback._average_model is not None and callback._device is None:
            callback._average_model.to(module.device)


def seed_generator(device: torch.device, seed: int) -> None:
    """Seed the one generator that dropout draws from.

    Not ``torch.manual_seed``: it seeds all kinds of devices, and for each that is absent queues a call with its stack
    trace, a third of a head step, in a list that grows for as long as the process lives.
    """
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
