"""The head of a network: what turns features into class scores or values. D features, K outputs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def build_head(num_features: int, num_outputs: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> nn.Module:
    """Build the head; without hidden layers it is the tutorial's single linear layer.

    Args:
        num_features: D, what the backbone gives.
        num_outputs: K, the number of classes, or 1 for a regression.
        hidden: Width of each hidden layer; each is followed by ReLU.
        dropout: Share of inputs dropped before every linear layer while training; 0 as in the tutorial.
    """
    widths = [num_features, *hidden]
    layers: list[nn.Module] = []
    for width, following in zip(widths, [*hidden, num_outputs], strict=True):
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(width, following), nn.ReLU()]
    layers.pop()  # no ReLU after the last one
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
