"""Test whether new pictures are drawn as the reference pictures were, by the features that the network sees.

Letters: R reference pictures, B new ones, N both together, D features, P permutations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

METHOD = "MMD"  # what the test is called where its result is told
LEAST = 8  # new pictures; of fewer a change must be huge to be seen
MOST_REFERENCE, MOST_NEW = 1_000, 500  # pictures of each that are compared: all of them in a fraction of a second
PERMUTATIONS = 999  # so the least p is 0.001
_SEED = 0


class TwoSample(NamedTuple):
    """The result of a test of two samples.

    Attributes:
        p: The probability of a distance as large where nothing has changed.
        distance: The squared maximum mean discrepancy, without bias: 0 on average where nothing has changed.
        reference: How many reference pictures were compared.
        new: How many new ones.
        permutations: How often the pictures were shuffled.
    """

    p: float
    distance: float
    reference: int
    new: int
    permutations: int


def two_sample(reference: Tensor, new: Tensor, permutations: int = PERMUTATIONS) -> TwoSample:
    """Compare two sets of pictures by a permutation test.

    The statistic is the squared maximum mean discrepancy with a Gaussian kernel whose width is the median distance
    (Gretton et al., 2012, JMLR 13). Its p is exact: if both are drawn alike, it is below 0.05 in at most 5 % of cases,
    whatever the features are. The pictures are shuffled by the same numbers each time, so equal features give equal
    bits on one machine. Of more than 1,000 reference or 500 new pictures an even draw is compared.

    The test compares mixtures: a folder of one class alone is not like the training pictures, even if each of its
    pictures is.

    Args:
        reference: (R, D), 2 or more pictures that the network has not learned from.
        new: (B, D), 2 or more.
        permutations: P.
    """
    generator = torch.Generator().manual_seed(_SEED)
    reference = drawn(reference, MOST_REFERENCE, generator).double()
    new = drawn(new, MOST_NEW, generator).double()
    kernel = gaussian_kernel(torch.cat([new, reference]))
    is_new = torch.zeros(permutations + 1, len(kernel), dtype=torch.float64)
    is_new[0, : len(new)] = 1
    shuffled = torch.rand(permutations, len(kernel), generator=generator).argsort(dim=1)[:, : len(new)]
    is_new[1:].scatter_(1, shuffled, 1.0)
    distances = squared_mmd(kernel, is_new)
    rounding = 1e-9 * float(distances.abs().max())
    as_large = int((distances[1:] >= distances[0] - rounding).sum())
    p = (1 + as_large) / (1 + permutations)
    return TwoSample(p, float(distances[0]), len(reference), len(new), permutations)


def drawn(features: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return all rows, or so many of them, drawn without replacement."""
    if len(features) <= most:
        return features
    return features[torch.randperm(len(features), generator=generator)[:most].sort().values]


def gaussian_kernel(features: Tensor) -> Tensor:
    """Return the similarity of each two rows of (N, D), (N, N): 1 of equal ones, the width is the median distance."""
    squares = torch.cdist(features, features).square()
    apart = squares[~torch.eye(len(squares), dtype=torch.bool)]
    return (-squares / apart.median().clamp_min(1e-12)).exp()


def squared_mmd(kernel: Tensor, is_new: Tensor) -> Tensor:
    """Return the unbiased squared maximum mean discrepancy of P ways to divide N pictures in two, (P,).

    Args:
        kernel: (N, N), with ones on the diagonal.
        is_new: (P, N), 1 for the pictures of the first part and 0 for the others; each part has 2 or more.
    """
    rows = is_new @ kernel
    count = is_new.sum(dim=1)
    rest = len(kernel) - count
    within = (rows * is_new).sum(dim=1)
    across = rows.sum(dim=1) - within
    others = kernel.sum() - within - 2 * across
    return (
        (within - count) / (count * (count - 1)) + (others - rest) / (rest * (rest - 1)) - 2 * across / (count * rest)
    )
