"""Choose a network by the answers of its heads: the cheapest of those that are within the noise of the best. Pure.

Letters: N images, those of the last round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from tlearn.analysis.race import halving
from tlearn.analysis.race.paired import standard_error

_QUICKER = 1.5  # times: a smaller difference is no reason, and may be that of a busy machine


@dataclass(frozen=True)
class TriedNetwork:
    """What a network showed on the pictures that it saw.

    Attributes:
        name: As it was named.
        backbone: For ``model.backbone``.
        weights: For ``model.weights``.
        score: Of a linear head out of fold, on the last stage or on all stages side by side, whichever errs less.
        low: Lower end of its 95 % interval; ``None`` where it is no accuracy.
        high: Upper end.
        images: Training images that it saw.
        seconds_per_1000: Seconds for 1,000 pictures.
        megabytes: Of its weights, 10^6 bytes.
        logme: LogME of its last stage on the pictures of the first round, which all saw; see `similarity.logme`.
        licence: Of its weights, where timm knows it.
    """

    name: str
    backbone: str
    weights: str
    score: float
    low: float | None
    high: float | None
    images: int
    seconds_per_1000: float
    megabytes: float
    logme: float
    licence: str | None


@dataclass(frozen=True)
class Contest:
    """Which of several networks is advised.

    Attributes:
        tried: All of them, those that saw the most pictures first, by score.
        chosen: The advised one.
        best: The one with the least error of those that came to the last round.
        score: The kind of score.
        image_size_px: Side of what the networks saw.
        passes: Pictures that went through a network.
        all_passes: The same, if each network had seen each picture.
    """

    tried: list[TriedNetwork]
    chosen: TriedNetwork
    best: TriedNetwork
    score: str
    image_size_px: int
    passes: int
    all_passes: int


def going_on(losses: Mapping[str, Tensor], count: int) -> list[str]:
    """Return the names of so many with the least mean loss, the best first.

    Args:
        losses: Name to the loss of each image, (N,), the same images for all.
        count: How many go on.
    """
    return halving.going_on({name: float(own.mean()) for name, own in losses.items()}, count)


def near_the_best(losses: Mapping[str, Tensor]) -> list[str]:
    """Return the names of all within one standard error of the best: that of the paired difference, image by image."""
    (best,) = going_on(losses, 1)
    return [name for name, own in losses.items() if _is_near(own - losses[best])]


def cheapest(tried: Sequence[TriedNetwork], near: Sequence[str], best: str) -> TriedNetwork:
    """Return the quickest of those near the best that is clearly quicker than the best; else the best.

    Args:
        tried: All networks.
        near: Names of those within the noise of the best.
        best: Its name.
    """
    own = next(each for each in tried if each.name == best)
    quicker = [each for each in tried if each.name in near and each.seconds_per_1000 * _QUICKER <= own.seconds_per_1000]
    return min(quicker, key=lambda each: each.seconds_per_1000, default=own)


def _is_near(more: Tensor) -> bool:
    return float(more.mean()) <= standard_error(more)
