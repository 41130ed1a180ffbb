"""Decide on a strategy from what was measured. Pure: the same measurements give the same decision.

The scores of heads on fixed features are measured. What training adds is predicted, on the scale of logits, from the
number of labels a class and from the strategy's pilot, by an effect fitted to real runs (`tlearn.analysis.effects`).
Of choices that lie within the noise of each other the cheaper is advised, and the dearer one is named with its price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tlearn.analysis.candidates import Candidate
from tlearn.analysis.measurements import Measurements, pooled
from tlearn.analysis.pilots import PilotResult

_EDGE = 0.01  # a score is kept at least this far from 0 and 1 before its logit is taken
_KEPT = 0.03  # loss on validation that a trial may add and still be said to have kept it
POINT = 0.01  # a smaller gain is none: within a point of the best counts as the best, see `benchmarks.advise`
_Z90 = 1.645
_EARLIER = (
    "A head on {stage} beats one on all stages side by side beyond the noise: what comes after was learned for other "
    "pictures, and training seldom mends that."
)
_CHEAPER = (
    "To train everything (LP-FT) is expected to bring {points}: within a point, or within the noise, so the cheaper "
    "one is advised."
)
_PAYS = (
    "A short trial of training kept the loss on validation, and to train everything is expected to bring {points}, "
    "which is more than the noise of that forecast."
)
_HIGHEST = "It is the cheapest of those whose expectation lies within the noise of the highest."


@dataclass(frozen=True)
class Effect:
    """The change of a measured score that a strategy is expected to bring, on the scale of logits.

    Attributes:
        constant: At 50 labels a class, with a pilot that gained nothing.
        doubling: For each doubling of the labels.
        pilot: For each unit that the pilot's loss on validation is below the solved head's.
        deviation: Standard deviation of what remains, beside the noise of the measurement.
    """

    constant: float
    doubling: float
    pilot: float
    deviation: float


@dataclass(frozen=True)
class Gain:
    """What LP-FT was worth beyond the solved head that it began with, on the scale of logits.

    Attributes:
        mean: Over the scenarios of `benchmarks.advise`.
        deviation: Standard deviation over them, their test images' noise included.
    """

    mean: float
    deviation: float


@dataclass(frozen=True)
class Gains:
    """The worth of training, by what its trial did to the loss on validation.

    Attributes:
        kept: Where the trial lowered the loss, or raised it by no more than 0.03.
        raised: Where it raised the loss by more.
    """

    kept: Gain
    raised: Gain


@dataclass(frozen=True)
class Outlook:
    """The expected score and cost of one strategy.

    Attributes:
        candidate: The strategy.
        score: The expected score.
        low: 5th percentile of the score.
        high: 95th percentile of the score.
        time_s: Expected duration of ``fit``, imports left out.
        peak_memory_bytes: Most in its pilot, or in the passes over the fixed network.
    """

    candidate: Candidate
    score: float
    low: float
    high: float
    time_s: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Price:
    """What another strategy is expected to bring beyond the one that was chosen, and what it costs beyond that.

    Attributes:
        name: The other strategy.
        gain: Of its score, as a share; negative where less is expected of it.
        low: 5th percentile of the gain.
        high: 95th percentile of the gain.
        time_s: Seconds that it takes longer; negative where it is quicker.
    """

    name: str
    gain: float
    low: float
    high: float
    time_s: float

    @property
    def points(self) -> str:
        """Say the gain: ``-0.1 [-3.1, +2.8] points``."""
        gain, low, high = (round(100 * each, 1) + 0.0 for each in (self.gain, self.low, self.high))  # never -0.0
        return f"{gain:+.1f} [{low:+.1f}, {high:+.1f}] points"


@dataclass(frozen=True)
class Decision:
    """The strategy that was chosen, beside all others.

    Attributes:
        choice: See `decide`.
        reason: Why, in a sentence.
        outlooks: All strategies, from the cheapest kind to the dearest.
        price: LP-FT beside a head that was chosen, or the head beside LP-FT; ``None`` where one of them is no choice.
    """

    choice: Outlook
    reason: str
    outlooks: list[Outlook]
    price: Price | None = None


def decide(measured: Measurements, effects: Mapping[str, Effect], gains: Gains) -> Decision:
    """Choose a strategy by what was measured.

    The solved head is the floor: it sits on all stages side by side, or on an earlier stage that beats these beyond the
    noise (the later stages were learned for something else, and training did not mend that). To train the network
    from it (LP-FT) is chosen only if that is expected to bring more than a point and more than one standard error of
    the forecast. See `benchmarks.advise`.

    Args:
        measured: Everything that was measured.
        effects: Name of a strategy to its effect.
        gains: What LP-FT is worth.
    """
    outlooks = [_outlook(measured, each, effects, gains) for each in measured.candidates]
    head = [each for each in outlooks if not each.candidate.trains_backbone][-1]  # of all stages, see `choose_tap`
    trained = next((each for each in outlooks if each.candidate.name == "lp_ft"), None)
    if trained is None:  # no head can be solved, or there is nothing to transfer
        return Decision(_cheapest_near_the_best(measured, outlooks), _HIGHEST, outlooks)
    price = _price(measured, head, trained, gains)
    if isinstance(head.candidate.options.get("tap"), str):
        return Decision(head, _EARLIER.format(stage=measured.best.stage), outlooks, price)
    gain = _gain_of(measured, gains)
    if gain.mean > gain.deviation and price.gain > POINT:
        reason = _PAYS.format(points=price.points)
        low, high, less_s = -price.high, -price.low, -price.time_s
        return Decision(trained, reason, outlooks, Price(head.candidate.name, -price.gain, low, high, less_s))
    return Decision(head, _CHEAPER.format(points=price.points), outlooks, price)


def kept_the_loss(measured: Measurements) -> bool:
    """Tell whether the trial of LP-FT left the loss on validation where the solved head had it, or lowered it."""
    return inputs(measured, "lp_ft")[2] >= -_KEPT


def _gain_of(measured: Measurements, gains: Gains) -> Gain:
    return gains.kept if kept_the_loss(measured) else gains.raised


def _price(measured: Measurements, head: Outlook, trained: Outlook, gains: Gains) -> Price:
    """Return the price of LP-FT: both scores come from the same images, so that their noise is no part of it."""
    gain, start = _gain_of(measured, gains), logit(base_score(measured, "lp_ft"))
    own = _kept_off(base_score(measured, head.candidate.name))
    spread = _Z90 * gain.deviation
    more, low, high = (sigmoid(start + gain.mean + each) - own for each in (0.0, -spread, spread))
    return Price(trained.candidate.name, more, low, high, trained.time_s - head.time_s)


def _cheapest_near_the_best(measured: Measurements, outlooks: list[Outlook]) -> Outlook:
    best = max(outlooks, key=lambda each: each.score)
    least = sigmoid(logit(best.score) - noise_of(measured, best.candidate.name))
    return min((each for each in outlooks if each.score >= min(least, best.score)), key=lambda each: each.time_s)


def base_score(measured: Measurements, candidate: str) -> float:
    """Return the measured score that a strategy is expected to change."""
    if candidate == "scratch" and measured.random_score is not None:
        return measured.random_score
    each = {"frozen": measured.last, "tap": measured.best}.get(candidate, measured.start)
    return pooled(each, measured.probe)


def inputs(measured: Measurements, candidate: str) -> tuple[float, float, float]:
    """Return the factors of an effect: 1, doublings of 50 labels a class, and the loss that the pilot gained."""
    pilot = pilot_of(measured, candidate)
    gain = measured.frozen_val_loss - pilot.val_loss if pilot and measured.frozen_val_loss is not None else 0.0
    return 1.0, math.log2(measured.labels_per_class / 50), max(-1.0, min(gain, 1.0))


def pilot_of(measured: Measurements, candidate: str) -> PilotResult | None:
    """Return the pilot of a strategy; from scratch a step costs what it costs to train everything."""
    names = ("scratch", "full") if candidate == "scratch" else (candidate,)
    return next((pilot for pilot in measured.pilots if pilot.candidate in names), None)


def logit(score: float) -> float:
    """Return the logit of a score that is kept away from 0 and 1."""
    kept = _kept_off(score)
    return math.log(kept / (1 - kept))


def _kept_off(score: float) -> float:
    return min(max(score, _EDGE), 1 - _EDGE)


def sigmoid(value: float) -> float:
    """Return the score of a logit."""
    return 1 / (1 + math.exp(-value))


def noise_of(measured: Measurements, candidate: str) -> float:
    """Return the standard deviation of a measured score's logit, given the number of images it was measured on."""
    kept = _kept_off(base_score(measured, candidate))
    return float((kept * (1 - kept) * (measured.probe.train_images + measured.probe.val_images)) ** -0.5)


def _outlook(measured: Measurements, candidate: Candidate, effects: Mapping[str, Effect], gains: Gains) -> Outlook:
    change, deviation = _change(measured, candidate.name, effects, gains)
    middle = logit(base_score(measured, candidate.name)) + change
    spread = _Z90 * math.hypot(deviation, noise_of(measured, candidate.name))
    pilot = pilot_of(measured, candidate.name)
    return Outlook(
        candidate=candidate,
        score=sigmoid(middle),
        low=sigmoid(middle - spread),
        high=sigmoid(middle + spread),
        time_s=expected_time_s(measured, candidate),
        peak_memory_bytes=pilot.peak_memory_bytes if pilot else measured.pass_peak_bytes,
    )


def _change(measured: Measurements, name: str, effects: Mapping[str, Effect], gains: Gains) -> tuple[float, float]:
    """Return what a strategy is expected to change of the measured score's logit, and the deviation of that."""
    if name == "lp_ft":  # what its head may be off by, and the gain of training beyond it
        gain = _gain_of(measured, gains)
        return gain.mean, math.hypot(effects["tap"].deviation, gain.deviation)
    effect, (one, doublings, gained) = effects[name], inputs(measured, name)
    gained = 0.0 if name == "scratch" else gained  # its pilot is another's
    return effect.constant * one + effect.doubling * doublings + effect.pilot * gained, effect.deviation


def expected_time_s(measured: Measurements, candidate: Candidate) -> float:
    """Return the expected seconds of a whole ``fit``, imports left out, from steps and passes that were timed."""
    pass_s = measured.probe.pass_time_s[measured.size_px]
    images = measured.probe.train_images + measured.probe.val_images
    needs_head = candidate.options.get("head_init") == "probe" or not candidate.trains_backbone
    time_s = measured.start_s + (pass_s + measured.solve_time_s if needs_head else 0.0)
    pilot = pilot_of(measured, candidate.name)
    if pilot is None:
        return time_s
    return time_s + measured.steps * pilot.step_time_s + measured.epochs * pass_s * measured.probe.val_images / images
