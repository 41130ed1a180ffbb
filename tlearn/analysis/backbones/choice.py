"""Choose a network by the answers of its heads, and name a quicker one that is within the noise of it. Pure.

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
        chosen: The advised one, with the least squared error of those that came to the last round.
        quicker: One that is clearly quicker and within the noise of the advised one; ``None`` where there is none.
        score: The kind of score.
        image_size_px: Side of what the networks saw.
        passes: Pictures that went through a network.
        all_passes: The same, if each network had seen each picture.
    """

    tried: list[TriedNetwork]
    chosen: TriedNetwork
    quicker: TriedNetwork | None
    score: str
    image_size_px: int
    passes: int
    all_passes: int


def near_the_best(losses: Mapping[str, Tensor], best: str | None = None) -> list[str]:
    """Return the names of all within one standard error of the best, it first: that of the paired difference.

    Args:
        losses: Name to the loss of each image, (N,), the same images for all.
        best: Its name; by default that of the least mean loss.
    """
    means = {name: float(own.mean()) for name, own in losses.items()}
    order = halving.going_on(means, len(means))
    best = best or order[0]
    return [best, *(name for name in order if name != best and _is_near(losses[name] - losses[best]))]


def quicker(tried: Sequence[TriedNetwork], near: Sequence[str], best: TriedNetwork) -> TriedNetwork | None:
    """Return the quickest of those near the best that is clearly quicker than the best.

    It is named and not taken: on few pictures the noise is wide, and on the sets that settled it to take it cost 1.6
    points in the mean with 25 labels a class (`benchmarks.networks`).

    Args:
        tried: All networks.
        near: Names of those within the noise of the best.
        best: The advised one.
    """
    found = [each for each in tried if each.name in near and each.seconds_per_1000 * _QUICKER <= best.seconds_per_1000]
    return min(found, key=lambda each: each.seconds_per_1000, default=None)


def _is_near(more: Tensor) -> bool:
    return float(more.mean()) <= standard_error(more)
