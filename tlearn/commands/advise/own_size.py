"""Take the head at the network's own image size where it pays. Pure."""

from __future__ import annotations

from dataclasses import replace

from tlearn.analysis.candidates import Candidate
from tlearn.analysis.decision import POINT, Decision, Outlook, Price, logit, sigmoid
from tlearn.analysis.measurements import Measurements
from tlearn.analysis.own_size.measured import OwnSize

NAME = "own_size"
_REASON = (
    "The network's own image size, {px} px, brings {points} to a head: more than a point, and beyond the noise. "
    "That is more than training at {size} px is expected to."
)


def with_own_size(decision: Decision, measured: Measurements) -> Decision:
    """Add the head at the network's own size to the strategies, and choose it where its gain is no noise.

    It is chosen if the gain is more than a point, the 90 % interval of the paired gain lies above 0, and it is expected
    to reach more than what was chosen: training at a smaller size.

    Args:
        decision: See `tlearn.analysis.decision.decide`.
        measured: Everything that was measured.
    """
    found = measured.own_size
    if found is None:
        return decision
    head = [each for each in decision.outlooks if not each.candidate.trains_backbone][-1]
    own, place = _outlook(head, measured, found), decision.outlooks.index(head) + 1
    outlooks = [*decision.outlooks[:place], own, *decision.outlooks[place:]]
    price = price_of(found, head, own, measured)
    if found.low <= 0 or found.gain <= POINT or own.score <= decision.choice.score:
        return replace(decision, outlooks=outlooks)
    reason = _REASON.format(px=found.size_px, points=price.points, size=measured.size_px)
    name = f"the same head at {measured.size_px} px"
    return Decision(own, reason, outlooks, Price(name, -price.gain, -price.high, -price.low, -price.time_s))


def price_of(found: OwnSize, head: Outlook, own: Outlook, measured: Measurements) -> Price:
    """Return what the network's own size brings to a head and costs beyond the chosen size."""
    return Price(f"the head at {found.size_px} px", found.gain, found.low, found.high, own.time_s - head.time_s)


def _outlook(head: Outlook, measured: Measurements, found: OwnSize) -> Outlook:
    shift = logit(found.there) - logit(found.here)
    score, low, high = (sigmoid(logit(each) + shift) for each in (head.score, head.low, head.high))
    what = f"{head.candidate.what}, with pictures of {found.size_px} px"
    options = {**head.candidate.options, "image_size": found.size_px}
    time_s = head.time_s + found.pass_time_s - measured.probe.pass_time_s[measured.size_px]
    return Outlook(Candidate(NAME, what, options, False), score, low, high, time_s, None)
