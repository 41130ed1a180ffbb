"""Decide on a strategy from what was measured. Pure: the same measurements give the same decision.

The scores of heads on fixed features are measured. What training adds is predicted, on the scale of logits, from the
number of labels a class and from the strategy's pilot, by an effect fitted to real runs (`tlearn.analysis.effects`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tlearn.analysis.candidates import Candidate
from tlearn.analysis.measurements import Measurements, pooled
from tlearn.analysis.pilots import PilotResult

_EDGE = 0.01  # a score is kept at least this far from 0 and 1 before its logit is taken
_TOLERATED = 0.3  # loss on validation that a trial may add: it has seen a tenth of the steps at the full rate
_Z90 = 1.645
_EARLIER = (
    "A head on {stage} beats one on all stages side by side beyond the noise: what comes after was learned for other "
    "pictures, and training seldom mends that."
)
_WORSE = (
    f"A short trial of training raised the loss on validation by more than {_TOLERATED}, so the head is left as it is."
)
_TRAIN = (
    f"A short trial of training did not raise the loss on validation by more than {_TOLERATED}; from there a whole run "
    "was most often the best, or within the noise of it."
)


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
class Decision:
    """The strategy that was chosen, beside all others.

    Attributes:
        choice: See `decide`.
        reason: Why, in a sentence.
        outlooks: All strategies, from the cheapest kind to the dearest.
    """

    choice: Outlook
    reason: str
    outlooks: list[Outlook]


def decide(measured: Measurements, effects: Mapping[str, Effect]) -> Decision:
    """Choose a strategy by what was measured.

    A head on an earlier stage is chosen if it beats all stages side by side beyond the noise: the later stages were
    learned for something else, and training did not mend that. Otherwise the network is trained from a solved head, the
    best of the fixed policies, unless the trial made validation worse; then the head is left as it is. See
    `benchmarks.advise`.

    Args:
        measured: Everything that was measured.
        effects: Name of a strategy to its effect.
    """
    outlooks = [_outlook(measured, candidate, effects[candidate.name]) for candidate in measured.candidates]
    head = [each for each in outlooks if not each.candidate.trains_backbone][-1]  # of all stages, see `choose_tap`
    trained = next((each for each in outlooks if each.candidate.name == "lp_ft"), None)
    if trained is None:  # no head can be solved, or there is nothing to transfer
        return Decision(
            max(outlooks, key=lambda each: each.score), "It is the one with the highest expectation.", outlooks
        )
    if isinstance(head.candidate.options.get("tap"), str):
        return Decision(head, _EARLIER.format(stage=measured.best.stage), outlooks)
    made_worse = inputs(measured, "lp_ft")[2] < -_TOLERATED
    return Decision(head, _WORSE, outlooks) if made_worse else Decision(trained, _TRAIN, outlooks)


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


def _outlook(measured: Measurements, candidate: Candidate, effect: Effect) -> Outlook:
    one, doublings, gain = inputs(measured, candidate.name)
    if candidate.name == "scratch":
        gain = 0.0  # its pilot is another's
    middle = logit(base_score(measured, candidate.name))
    middle += effect.constant * one + effect.doubling * doublings + effect.pilot * gain
    spread = _Z90 * math.hypot(effect.deviation, noise_of(measured, candidate.name))
    pilot = pilot_of(measured, candidate.name)
    return Outlook(
        candidate=candidate,
        score=sigmoid(middle),
        low=sigmoid(middle - spread),
        high=sigmoid(middle + spread),
        time_s=expected_time_s(measured, candidate),
        peak_memory_bytes=pilot.peak_memory_bytes if pilot else measured.pass_peak_bytes,
    )


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
