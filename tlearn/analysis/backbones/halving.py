"""Plan how many networks are probed on how many pictures: half of them go on, on more (successive halving). Pure.

Every round costs the same (Jamieson and Talwalkar, 2016, arXiv 1502.07943). A round's pictures are those of the round
before and more, so that nothing is computed twice.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MOST_SHARE = 0.35  # of the pictures that all networks would see if each saw all of them


class Round(NamedTuple):
    """So many networks have seen so many pictures at its end."""

    networks: int
    images: int


def rounds_of(networks: int, images: int, fewest: int) -> list[Round]:
    """Plan the rounds. Two networks have one; each further round has half as many, rounded up, down to two.

    Args:
        networks: From 2 on.
        images: That there are.
        fewest: Images to tell anything from. The share is passed where it allows fewer.
    """
    counts = [networks]
    while counts[-1] > 2:
        counts.append(-(-counts[-1] // 2))
    share, seen, planned = MOST_SHARE * networks * images / len(counts), 0.0, list[Round]()
    for count in counts:
        seen += share / count
        planned.append(Round(count, min(images, max(fewest, int(seen)))))
    return planned


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
