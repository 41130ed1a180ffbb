"""The greedy soup: a network is taken in only if it does no harm on validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def greedy_soup(ranked: Sequence[str], loss_of: Callable[[tuple[str, ...]], float]) -> tuple[str, ...]:
    """Choose the networks of a greedy soup (Wortsman et al., 2022, arXiv 2203.05482, recipe 1).

    The paper ranks by accuracy. Of a few validation images many networks get the same number right, so that chance
    would decide; the loss tells them apart.

    Args:
        ranked: Names of the networks, the one with the least validation loss first; at least one.
        loss_of: The validation loss of the mean of these networks' weights.

    Returns:
        The names of those that were taken in, in this order.
    """
    taken: tuple[str, ...] = (ranked[0],)
    least = loss_of(taken)
    for name in ranked[1:]:
        loss = loss_of((*taken, name))
        if loss <= least:
            taken, least = (*taken, name), loss
    return taken
