"""The heads of several networks as one head, whose output is their average. B images, D features, K outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tlearn.base.types import Task
from tlearn.models.ensembles.average import averaged_outputs


class AveragingHead(nn.Module):
    """Gives each head the features of its own network, and averages what they answer.

    Args:
        task: Decides what an average is; see `averaged_outputs`.
        heads: One of each member, features to logits, or to values of one unit.
        widths: Of the features of each network; they stand side by side.
        networks: For each head the number of its network, from 0: several heads may share one.
    """

    def __init__(self, task: Task, heads: Sequence[nn.Module], widths: Sequence[int], networks: Sequence[int]) -> None:
        super().__init__()
        self.task: Task = task
        self.heads = nn.ModuleList(heads)
        self.widths, self.networks = list(widths), list(networks)

    def forward(self, features: Tensor) -> Tensor:
        """Turn the features of all networks, (B, D), into the outputs (B, K) of their average."""
        parts = features.split(self.widths, dim=1)
        outputs = [head(parts[number]) for head, number in zip(self.heads, self.networks, strict=True)]
        return averaged_outputs(self.task, torch.stack(outputs))
