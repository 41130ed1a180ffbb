"""Ridge regression where some labels are unknown: each column is solved on the images that say something of it.

Letters: N images, M images that are asked for, D features, K outputs, G images of a group, L outputs of a group.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.training.strategies.head_solver import Turned, ridge_path, turn

_FEWEST = 2  # images: one spans nothing


class KnownGroup(NamedTuple):
    """Columns that are known of the same images; where all is known there is one group.

    Attributes:
        rows: int64 (G,), the images.
        columns: int64 (L,), the columns.
        wanted: float32 (G, L).
        turned: The images' features.
    """

    rows: Tensor
    columns: Tensor
    wanted: Tensor
    turned: Turned


def known_groups(features: Tensor, wanted: Tensor) -> list[KnownGroup]:
    """Part the columns by the images of which they are known; those known of fewer than 2 are in no group.

    Args:
        features: (N, D).
        wanted: (N, K), NaN where it is unknown.
    """
    masks, group_of = torch.unique(~wanted.isnan(), dim=1, return_inverse=True)
    groups = []
    for number, mask in enumerate(masks.unbind(dim=1)):
        rows, columns = mask.nonzero().flatten(), (group_of == number).nonzero().flatten()
        if len(rows) >= _FEWEST:
            turned = turn(rows_of(features, rows), torch.ones(len(rows)))
            groups.append(KnownGroup(rows, columns, wanted[rows][:, columns], turned))
    return groups


def rows_of(features: Tensor, rows: Tensor) -> Tensor:
    """Return these rows (G, D) in their order, without a copy where they are all."""
    return features if len(rows) == len(features) else features[rows]


def ridge_outputs(features: Tensor, wanted: Tensor, asked: Tensor, strength: float) -> Tensor:
    """Answer for other images (M, D) by ridge regression of one strength, (M, K); 0 where nothing is known.

    Args:
        features: (N, D).
        wanted: (N, K), NaN where it is unknown.
        asked: (M, D).
        strength: One of `STRENGTHS`.
    """
    outputs = torch.zeros(len(asked), wanted.shape[1])
    for group in known_groups(features, wanted):
        weight, bias = next((w, b) for each, w, b in ridge_path(group.turned, group.wanted) if each == strength)
        outputs[:, group.columns] = group.turned.turned(asked) @ weight.float().T + bias.float()
    return outputs
