"""What a race ends with, by losses on validation images that are few. N images, K classes. Pure.

The rule was settled on six data sets and scored on five others; see docs/strategies.md and `benchmarks.choice`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from tlearn.analysis.race.paired import Interval, image_losses, image_scores, loss_text, paired_interval, standard_error
from tlearn.analysis.race.recipes import HEADS
from tlearn.base.errors import TlearnError
from tlearn.base.types import Task

# Validation images. Below, 5 of 15 scenarios ended worse than the best beyond noise; from there on, 1 of 29.
FEWEST_TO_CHOOSE_BY = 20
_AVERAGE = (
    "The mean of two networks' answers, the surest in our trials, is kept unless a single one is better beyond chance."
)
_SAME_TIME = 1.2  # two runs of one recipe differ by as much in seconds


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


def averages_of(members: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the averages that a race of these members may end with: all pairs of those that were trained.

    A third member brought nothing that was measured, and costs a pass more.
    """
    return list(combinations([name for name in members if name not in HEADS], 2))


def choose(task: Task, finishers: Sequence[Finisher], targets: Tensor) -> Choice:
    """Choose the average of the two trained runs with the least loss, unless a single run is better beyond noise.

    Beyond noise: the 90 % interval of the paired difference of losses is below 0, so what is hard for both does not
    count. Few images tell little: by the usual rule, the simplest within one standard error, a few labels a class ended
    at the head, which was 5 points below the best. So the average of two trained runs, good without any choice, bears
    no burden of proof, and a simpler one does. Two runs that are good alone beat the pair whose average has the least
    loss: that one picks up more chance. Where no average is offered, the simplest trained run within one standard error
    of the least loss takes its place; where nothing was trained, the head with the least loss.

    Args:
        task: Decides on the loss and the score of an image.
        finishers: At least one, of equals the likeliest first; their outputs are of the same images. Heads are known by
            the names that `tlearn.analysis.race.recipes` gives them. `averages_of` says which averages to offer.
        targets: Of these images, see `tlearn.models.losses.compute_loss`.

    Raises:
        TlearnError: If no finisher's loss is a number.
    """
    of_all = {each.name: image_losses(task, each.outputs, targets) for each in finishers}
    sound = [each for each in finishers if bool(of_all[each.name].isfinite().all())]
    if not sound:
        raise TlearnError(
            f"expected a run whose loss on validation is a number, found none of {len(finishers)}: all diverged; try "
            "lower learning rates"
        )
    losses = {each.name: of_all[each.name] for each in sound}
    held, reason = _without_proof(sound, losses)
    better = [each for each in sound if len(each.members) == 1 and _is_shown(losses[each.name], losses[held.name])]
    chosen = min(better, key=lambda each: float(losses[each.name].mean())) if better else held
    if better:
        reason = _proof(chosen, held, losses)
    scores = {each.name: image_scores(task, each.outputs, targets) for each in sound}
    differences = [
        _difference(each.name, losses[each.name] - losses[chosen.name], scores[each.name] - scores[chosen.name])
        for each in sound
        if each is not chosen
    ]
    return Choice(chosen, reason, differences, [each.name for each in finishers if each.name not in losses])


def simplest(finishers: Sequence[Finisher]) -> Finisher:
    """Return the one with the fewest passes, then the least seconds; of equals, within a fifth, the first."""
    fewest = min(each.passes for each in finishers)
    left = [each for each in finishers if each.passes == fewest]
    quickest_s = min(each.time_s for each in left)
    return next(each for each in left if each.time_s <= _SAME_TIME * quickest_s)


def _without_proof(sound: Sequence[Finisher], losses: Mapping[str, Tensor]) -> tuple[Finisher, str]:
    """Return what is taken unless a single run is shown to be better, and why."""
    trained = [each for each in sound if not set(HEADS).intersection(each.members)]
    averages = [each for each in trained if len(each.members) > 1] or [each for each in sound if len(each.members) > 1]
    means = {name: float(loss.mean()) for name, loss in losses.items()}
    on = f"on {_images(losses[sound[0].name])}"
    if averages:
        held, reason = _of_averages(averages, means, on)
        return held, reason + _unproven(sound, held, losses)
    rivals = trained or list(sound)
    best = min(rivals, key=lambda each: means[each.name])
    held = simplest([each for each in rivals if not _is_better(losses[best.name], losses[each.name])])
    if trained and held is not best:
        more, error = _with_error(losses[held.name] - losses[best.name])
        return held, (
            f"{held.name} is the simplest of the trained runs whose loss {on} is within one standard error of the "
            f"least: {loss_text(more)} above that of {best.name}, standard error {loss_text(error)}."
        )
    kind = "trained runs" if trained else "heads"
    among = f"the least loss of the {kind} {on}," if len(rivals) > 1 else f"a loss {on} of"
    return best, f"{best.name} has {among} {loss_text(means[best.name])}.{_unproven(sound, best, losses)}"


def _of_averages(averages: Sequence[Finisher], means: Mapping[str, float], on: str) -> tuple[Finisher, str]:
    """Return the average of the runs that are the best alone; one that was not offered alone has its average's loss."""
    best = min(averages, key=lambda each: sum(means.get(name, means[each.name]) for name in each.members))
    least = loss_text(means[best.name])
    if len(averages) == 1:
        return best, f"{_AVERAGE} The loss of {best.name} {on} is {least}."
    alone = " and ".join(loss_text(means[name]) for name in best.members if name in means)
    return best, (
        f"{_AVERAGE} {best.name} is that of the two trained runs with the least loss {on}, {alone}; its own is {least}."
    )


def _unproven(sound: Sequence[Finisher], held: Finisher, losses: Mapping[str, Tensor]) -> str:
    """Say which single run has the least loss of all, and why it is not taken all the same; nothing where it is."""
    singles = [each.name for each in sound if len(each.members) == 1]
    least = min(singles, key=lambda name: float(losses[name].mean()), default=held.name)
    if least == held.name:
        return ""
    difference = losses[least] - losses[held.name]
    if float(difference.mean()) >= 0:
        return " No single run has less."
    has_less = f" {least} has less, {loss_text(float(losses[least].mean()))}"
    if len(difference) == 1:
        return f"{has_less}, but one image shows nothing."
    low, high = map(loss_text, paired_interval(difference))
    return (
        f"{has_less}, but {_images(difference)} are too few to show that it is better: its loss minus that of the "
        f"result is between {low} and {high} (90 % interval; 0 is no difference)."
    )


def _is_better(losses: Tensor, than: Tensor) -> bool:
    difference, error = _with_error(losses - than)
    return difference < -error


def _is_shown(losses: Tensor, than: Tensor) -> bool:
    return paired_interval(losses - than)[1] < 0


def _with_error(differences: Tensor) -> tuple[float, float]:
    return float(differences.mean()), standard_error(differences)


def _proof(chosen: Finisher, held: Finisher, losses: Mapping[str, Tensor]) -> str:
    less = losses[held.name] - losses[chosen.name]
    low, high = map(loss_text, paired_interval(less))
    cheaper = f", at {chosen.passes} forward pass instead of {held.passes}" if chosen.passes < held.passes else ""
    return (
        f"{chosen.name} has {loss_text(float(less.mean()))} less loss on {_images(less)} than {held.name}, beyond "
        f"noise (90 % interval {low} to {high}){cheaper}."
    )


def _images(losses: Tensor) -> str:
    return f"{len(losses):,} validation image{'' if len(losses) == 1 else 's'}"


def _difference(name: str, losses: Tensor, scores: Tensor) -> Difference:
    return Difference(
        *(name, float(losses.mean()), paired_interval(losses)), *(float(scores.mean()), paired_interval(scores))
    )
