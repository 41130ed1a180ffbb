"""BatchNorm in a soup: its running statistics belong to the weights before it, and are measured anew for their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_STATISTICS = ("running_mean", "running_var")


def norms_apart(network: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> list[str]:
    """Return the BatchNorms whose running statistics differ among networks.

    Where they are the same in all, as in a frozen stage or with ``batch_norm: fixed``, they are constants that the
    weights were trained with, and stay.

    Args:
        network: One of the architecture.
        states: State dicts of the networks.
    """
    return [
        name
        for name, part in network.named_modules()
        if isinstance(part, _BatchNorm) and part.track_running_stats and _differ(name, states)
    ]


def _differ(norm: str, states: Sequence[Mapping[str, Tensor]]) -> bool:
    first, *others = ([state[f"{norm}.{statistic}"] for statistic in _STATISTICS] for state in states)
    return any(not torch.equal(one, other) for of in others for one, other in zip(first, of, strict=True))


class NormStatistics:
    """Measures the statistics of BatchNorms anew: the mean over batches, all of which count alike.

    `torch.optim.swa_utils.update_bn` would reset every BatchNorm, and so lose those of frozen stages too.

    Args:
        network: Its statistics are overwritten.
        norms: Names of its BatchNorms; all others keep what they have.
    """

    def __init__(self, network: nn.Module, norms: Sequence[str]) -> None:
        self._parts = [part for name in norms if isinstance(part := network.get_submodule(name), _BatchNorm)]
        self._momenta = [part.momentum for part in self._parts]
        for part in self._parts:
            part.reset_running_stats()
            part.momentum = None  # the mean of all batches

    def listen(self) -> None:
        """Let the BatchNorms follow the next batch, whatever mode the network is in."""
        for part in self._parts:
            part.train()

    def finish(self) -> None:
        """Let them use what was measured."""
        for part, momentum in zip(self._parts, self._momenta, strict=True):
            part.momentum = momentum
            part.eval()
