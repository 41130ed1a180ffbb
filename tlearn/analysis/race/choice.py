"""What a race ends with: the simplest of those that validation cannot tell from the best. N images, K classes. Pure.

How well the rule does, and how the constants were found: `benchmarks.choice`, docs/strategies.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from tlearn.analysis.race.paired import Interval, image_losses, image_scores, paired_interval, standard_error
from tlearn.base.errors import TlearnError
from tlearn.base.types import Task


@dataclass(frozen=True, eq=False)  # tensors have no single answer to whether they are equal
class Finisher:
    """One thing that a race could end with: a run, or an average of several.

    Attributes:
        name: As it is shown.
        members: Names of the runs whose answers it averages; a single run has one.
        passes: Forward passes of a picture.
        time_s: Seconds to make it.
        outputs: What it gives on the validation images (N, K): logits, or values.
    """

    name: str
    members: tuple[str, ...]
    passes: int
    time_s: float
    outputs: Tensor


@dataclass(frozen=True)
class Difference:
    """How one that was not chosen differs from the one that was, on the same validation images.

    Attributes:
        name: Of the one that was not chosen.
        loss: Its mean loss less that of the chosen: above 0 it is worse.
        loss_interval: 90 % interval of it.
        score: Its mean score less that of the chosen, see `image_scores`: above 0 it is better.
        score_interval: 90 % interval of it.
    """

    name: str
    loss: float
    loss_interval: Interval
    score: float
    score_interval: Interval


@dataclass(frozen=True)
class Choice:
    """What a race ends with.

    Attributes:
        finisher: The chosen.
        reason: Why, in plain English with numbers.
        differences: Of every other one whose loss is a number, in the order given.
        left_out: Names of those whose loss is no number: they diverged.
    """

    finisher: Finisher
    reason: str
    differences: list[Difference]
    left_out: list[str]


def choose(task: Task, finishers: Sequence[Finisher], targets: Tensor) -> Choice:
    """Choose the simplest whose loss is within one standard error of the least.

    The standard error is that of the paired difference to the one with the least loss, so what is hard for both does
    not count (Breiman et al., 1984, chapter 3, for the rule). Simplest: the fewest passes, then the least seconds.

    Args:
        task: Decides on the loss and the score of an image.
        finishers: At least one; their outputs are of the same images.
        targets: Of these images, see `tlearn.models.losses.compute_loss`.

    Raises:
        TlearnError: If no finisher's loss is a number.
    """
    losses = {each.name: image_losses(task, each.outputs, targets) for each in finishers}
    sound = [each for each in finishers if bool(losses[each.name].isfinite().all())]
    if not sound:
        raise TlearnError(
            f"expected a run whose loss on validation is a number, found none of {len(finishers)}: all diverged; try "
            "lower learning rates"
        )
    best = min(sound, key=lambda each: float(losses[each.name].mean()))
    within = [each for each in sound if _is_within(losses[each.name], losses[best.name])]
    chosen = min(within, key=lambda each: (each.passes, each.time_s))
    scores = {each.name: image_scores(task, each.outputs, targets) for each in sound}
    differences = [
        _difference(each.name, losses[each.name] - losses[chosen.name], scores[each.name] - scores[chosen.name])
        for each in sound
        if each is not chosen
    ]
    left_out = [each.name for each in finishers if not any(each is one for one in sound)]
    return Choice(chosen, _reason(chosen, best, losses, len(targets)), differences, left_out)


def _is_within(losses: Tensor, least: Tensor) -> bool:
    difference = losses - least
    return float(difference.mean()) <= standard_error(difference)


def _difference(name: str, losses: Tensor, scores: Tensor) -> Difference:
    return Difference(
        *(name, float(losses.mean()), paired_interval(losses)), *(float(scores.mean()), paired_interval(scores))
    )


def _reason(chosen: Finisher, best: Finisher, losses: dict[str, Tensor], count: int) -> str:
    least = float(losses[best.name].mean())
    images = f"{count:,} validation image{'' if count == 1 else 's'}"
    if chosen is best:
        return f"{chosen.name} has the least loss on {images}, {least:.3f}, and nothing simpler is within its error."
    difference = losses[chosen.name] - losses[best.name]
    more, error = float(difference.mean()), standard_error(difference)
    of_error = f"less than its standard error of {error:.3f}" if count > 1 else "and one image has no error to go by"
    fewer = f"{_passes(chosen)} instead of {best.passes}, " if chosen.passes < best.passes else ""
    return (
        f"{best.name} has the least loss on {images}, {least:.3f}; {chosen.name} has {more:.3f} more, {of_error}, and "
        f"is simpler: {fewer}{chosen.time_s:,.0f} s instead of {best.time_s:,.0f} s."
    )


def _passes(finisher: Finisher) -> str:
    return f"{finisher.passes} forward pass{'' if finisher.passes == 1 else 'es'}"
