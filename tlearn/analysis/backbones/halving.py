"""Plan how many pictures each round of networks sees: those near the best go on, on twice as many. Pure.

A round's pictures are those of the round before and more, so that nothing is computed twice. Successive halving
(Jamieson and Talwalkar, 2016, arXiv 1502.07943) would leave half behind whatever they showed; on few pictures that half
often held the best, see `benchmarks.networks`.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_SHARE = 0.35  # of the pictures that all networks would see if each saw all of them
FIRST_OF_A_CLASS = 8  # pictures, in the mean: with 4 the best went out too often
_GROWS = 2  # times the pictures of the round before, at most
_LEAST = 1.1  # times: a round of hardly more pictures tells nothing


def following_images(seen: int, left: int, passes: int, networks: int, images: int) -> int | None:
    """Return how many pictures the networks that are left will have seen; ``None`` where they have seen enough.

    Args:
        seen: Pictures that each of them has seen.
        left: Networks that are left.
        passes: Pictures that went through all networks so far.
        networks: That there were.
        images: That there are.
    """
    if left < 2:
        return None
    room = (MOST_SHARE * networks * images - passes) / left
    more = int(min(images, seen + room, _GROWS * seen))
    return more if more >= _LEAST * seen else None


def nested_order(classes: Tensor) -> Tensor:
    """Order images so that each beginning has the classes in their shares, int64 (N,). Drawn, the same each time.

    Args:
        classes: int64 (N,), the class of each image; all the same number where there are none.
    """
    drawn = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    place = torch.empty(len(classes), dtype=torch.float64)
    for number in classes.unique():
        own = drawn[classes[drawn] == number]
        place[own] = (torch.arange(len(own), dtype=torch.float64) + 0.5) / len(own)
    return drawn[place[drawn].argsort(stable=True)]
