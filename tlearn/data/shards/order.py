"""The order of an epoch over pictures that lie in shards: few shards at a time, and each process its own.

Letters: N pictures, W processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WINDOW = 4  # shards that a process draws from at a time, for pictures to mix that lie in different ones


def shard_order(shards: Tensor, seed: int, sizes: Sequence[int], lanes: int) -> Tensor:
    """Draw an order in which each process works through shards of its own, a window of them at a time.

    The shards are laid in a row at random and the row is cut into W lanes, as many pictures as that process will be
    asked for: neighbours share the shard that lies across the cut. In its lane, the shard at place ``p`` has its
    pictures spread evenly over the time from ``p`` to ``p + WINDOW``, so that at any time `WINDOW` shards are open, and
    they are opened and done with one after the other.

    Args:
        shards: int64 (N,), where each picture lies.
        seed: Decides the order.
        sizes: Of the batches; what they do not hold of N is left out.
        lanes: W; each takes its part of a batch as ``torch.tensor_split`` cuts it.

    Returns:
        int64, positions in ``shards``, each at most once.
    """
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm(int(shards.max()) + 1, generator=generator)[shards].double()
    row = torch.argsort(places + torch.rand(len(shards), generator=generator, dtype=torch.float64))
    parts = _parts(sizes, lanes)
    order = torch.empty(sum(sizes), dtype=torch.int64)
    lane_of = torch.arange(lanes).repeat(len(sizes)).repeat_interleave(parts.flatten())
    for lane, positions in enumerate(torch.split(row[: len(order)], parts.sum(dim=0).tolist())):
        _, places_here = torch.unique(places[positions], return_inverse=True)  # those of other lanes take no time
        times = places_here + WINDOW * torch.rand(len(positions), generator=generator, dtype=torch.float64)
        order[lane_of == lane] = positions[torch.argsort(times)]
    return order


def _parts(sizes: Sequence[int], lanes: int) -> Tensor:
    """Return int64 (batches, W): how many pictures of each batch a process serves."""
    whole = torch.tensor(sizes)[:, None]
    return whole // lanes + (torch.arange(lanes) < whole % lanes).long()
