"""Test whether new pictures are drawn as the reference pictures were, by the features that the network sees.

Letters: R reference pictures, B new ones, N both together, D features, P permutations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

METHOD = "MMD"  # what the test is called where its result is told
LEAST = 8  # new pictures; of fewer a change must be huge to be seen
MOST_REFERENCE, MOST_NEW = 1_000, 500  # pictures of each that are compared: all of them in a fraction of a second
PERMUTATIONS = 999  # so the least p is 0.001
_LEAST_GROUPS = 3  # of fewer nobody knows how far another one may be
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


def two_sample(
    reference: Tensor, new: Tensor, permutations: int = PERMUTATIONS, groups: Tensor | None = None
) -> tuple[TwoSample, Tensor]:
    """Compare two sets of pictures by a permutation test.

    The statistic is the squared maximum mean discrepancy (Gretton et al., 2012, JMLR 13) of `kernel_of`. Its p is
    exact: if both are drawn alike, it is 0.05 or less in at most 5 % of cases, whatever the features are. The pictures
    are shuffled by the same numbers each time, so equal features give equal bits on one machine. Of more than 1,000
    reference or 500 new pictures an even draw is compared.

    The test compares mixtures: a folder of one class alone is not like the training pictures, even if each of its
    pictures is.

    Args:
        reference: (R, D), 2 or more pictures that the network has not learned from.
        new: (B, D), 2 or more.
        permutations: P.
        groups: The group of each reference picture, int64 (R,).

    Returns:
        The result, and for each group with 8 reference pictures or more the distance between it and the others, (G,);
        none where there are fewer than three such groups.
    """
    generator = torch.Generator().manual_seed(_SEED)
    kept = drawn(len(reference), MOST_REFERENCE, generator)
    reference, new = reference[kept], new[drawn(len(new), MOST_NEW, generator)]
    kernel = kernel_of(torch.cat([new, reference]))
    distances = squared_mmd(kernel, _shuffled(len(kernel), len(new), permutations, generator))
    result = TwoSample(_p_of(distances), float(distances[0]), len(reference), len(new), permutations)
    own = kernel[len(new) :, len(new) :]
    return result, own.new_empty(0) if groups is None else between_groups(own, groups[kept])


def properties_test(reference: Tensor, new: Tensor, permutations: int = PERMUTATIONS) -> float:
    """Return the p of a permutation test of simple properties, (R, D) and (B, D): the largest shift of a mean.

    Each shift is measured in standard deviations of both samples together, so p is exact, however many properties
    there are and however they hang together (Westfall and Young, 1993: the maximum of the statistics).
    """
    both = torch.cat([new, reference]).double()
    spread = both.std(dim=0, correction=0)
    both = (both - both.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    generator = torch.Generator().manual_seed(_SEED)
    return _p_of((_shuffled(len(both), len(new), permutations, generator) @ both).abs().amax(dim=1))


def _shuffled(count: int, new: int, permutations: int, generator: torch.Generator) -> Tensor:
    """Return 1 for those that are taken for the new ones, float64 (P + 1, N); the first row is the truth."""
    is_new = torch.zeros(permutations + 1, count, dtype=torch.float64)
    is_new[0, :new] = 1
    taken = torch.rand(permutations, count, generator=generator).argsort(dim=1)[:, :new]
    return torch.cat([is_new[:1], is_new[1:].scatter_(1, taken, 1.0)])


def _p_of(statistics: Tensor) -> float:
    """Return the share of (P + 1,) that is as large as the first, which counts itself."""
    rounding = 1e-9 * float(statistics.abs().max())
    return float((statistics >= statistics[0] - rounding).double().mean())


def drawn(count: int, most: int, generator: torch.Generator) -> Tensor:
    """Return the rows that are used, sorted: all, or so many of them, drawn without replacement."""
    return torch.randperm(count, generator=generator)[:most].sort().values


def between_groups(kernel: Tensor, groups: Tensor) -> Tensor:
    """Return how far each group with enough pictures is from all others, (G,); none if there are not three."""
    names, counts = groups.unique(return_counts=True)
    names = names[(counts >= LEAST) & (counts <= len(groups) - 2)]
    if len(names) < _LEAST_GROUPS:
        return kernel.new_empty(0)
    return squared_mmd(kernel, (groups == names[:, None]).to(kernel.dtype))


def kernel_of(features: Tensor) -> Tensor:
    """Return the similarity of each two rows of (N, D), (N, N): 1 of equal ones.

    A Gaussian kernel whose width is the median distance. Distances are those of features of length 1 along directions
    that vary about equally: each principal direction is divided by its standard deviation, those of less than the mean
    variance by less (spectral regularisation; Hagrass, Sriperumbudur and Li, 2022, arXiv 2212.09201). The directions
    are those of both samples together, so that shuffling them changes nothing and the level stays exact.
    """
    rows = F.normalize(features.double(), dim=1)
    rows = rows - rows.mean(dim=0)
    inner = rows @ rows.T / len(rows)
    ridge = inner.diagonal().mean().clamp_min(1e-12) * torch.eye(len(rows), dtype=torch.float64)
    inner = torch.linalg.solve(inner + ridge, inner)
    squares = inner.diagonal()[:, None] + inner.diagonal() - inner - inner.T
    apart = squares[~torch.eye(len(squares), dtype=torch.bool)]
    kernel = (-squares.clamp_min(0) / apart.median().clamp_min(1e-12)).exp()
    symmetric: Tensor = (kernel + kernel.T) / 2  # but for rounding it is
    return symmetric


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
