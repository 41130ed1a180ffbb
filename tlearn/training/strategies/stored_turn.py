"""Keep turned features beside the features, so that they are turned once. N images, D features."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import fill, load
from tlearn.data.images.in_memory import fingerprint
from tlearn.training.strategies.head_solver import Turned, turn

log = logging.getLogger(__name__)

_FORMAT = 1
_FEWEST_NUMBERS = 2**22  # N times D; fewer are turned about as soon as they are read


def stored_turn(features: Tensor) -> Turned:
    """Return what `turn` makes of images that weigh alike, to the bit, from the store where it is there.

    An entry has D columns and, in this order, the rows (N), the basis (D), column by column as `turn` lays it in
    memory, for that decides the last bits of its products, the eigenvalues, whose 8 bytes take the place of two numbers
    (2), the mean (1) and the scale (1). Where it cannot be written the features are turned again the next time.

    Args:
        features: float32 (N, D).
    """
    weights = torch.ones(len(features))
    if features.numel() < _FEWEST_NUMBERS or len(features) < features.shape[1]:
        return turn(features, weights)
    versions = {"torch": str(torch.__version__)}
    about = {"split": "turned", "backbone": "principal components", "format": _FORMAT, "versions": versions}
    about |= {"data": fingerprint(features)}
    count, width = features.shape
    found = load(about)
    if found is not None and found.shape == (count + width + 4, width):
        return _unpacked(torch.from_numpy(found), weights)
    turned = turn(features, weights)
    try:
        fill(about, (count + width + 4, width), (part.numpy() for part in _packed(turned)), renew=True)
    except TlearnError as error:
        log.debug("%s", error)
    return turned


def _packed(turned: Turned) -> list[Tensor]:
    eigenvalues = turned.eigenvalues.view(torch.float32).view(2, -1)
    return [turned.rows, turned.basis.T, eigenvalues, turned.mean[None], turned.scale.expand(1, len(turned.mean))]


def _unpacked(stored: Tensor, weights: Tensor) -> Turned:
    width = stored.shape[1]
    rows, basis, eigenvalues, mean, scale = stored.split([len(weights), width, 2, 1, 1])
    return Turned(rows, eigenvalues.flatten().view(torch.float64), basis.T, mean[0], scale[0, 0], weights)
