"""Which member of a race trains next, and until when, within the time that is left. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tlearn.analysis.race.halving import going_on
from tlearn.analysis.race.recipes import times_of

FINISHERS = 2  # as many go on to the end at the least: an average needs two
_PARTIAL = 0.7  # what an epoch costs where half of the stages are frozen; until it is measured


@dataclass(frozen=True)
class Standing:
    """How far a trained member is.

    Attributes:
        name: Of the member.
        losses: Its validation loss behind each epoch that is done.
        epoch_s: Seconds of one of its epochs; ``None`` before it was measured.
    """

    name: str
    losses: tuple[float, ...] = ()
    epoch_s: float | None = None

    @property
    def epochs(self) -> int:
        """Count the epochs that are done."""
        return len(self.losses)

    def at(self, stop: int) -> int:
        """Return the epoch of its own that is as far on its way as the given one of most members."""
        return stop * times_of(self.name)


@dataclass(frozen=True)
class Leg:
    """What is to be run next.

    Attributes:
        name: Of the member.
        until: It pauses behind this epoch, counted from 1; behind the last one it is finished.
    """

    name: str
    until: int


@dataclass(frozen=True)
class Costs:
    """What training takes.

    Attributes:
        epochs: Of a whole run of most members, see `Standing.at`.
        epoch_s: Seconds of an epoch of a member that was not measured yet.
        start_s: Seconds to begin a leg and to end it.
    """

    epochs: int
    epoch_s: float
    start_s: float

    def of(self, member: Standing, until: int) -> float:
        """Return the seconds that a member takes from where it is until an epoch."""
        guess = self.epoch_s * (_PARTIAL if member.name.startswith("partial") else 1.0)
        return max(0, until - member.epochs) * (guess if member.epoch_s is None else member.epoch_s) + self.start_s

    def to_end(self, member: Standing) -> float:
        """Return the seconds that a member takes from where it is to its end."""
        return self.of(member, member.at(self.epochs))


def next_leg(members: Sequence[Standing], stops: Sequence[int], costs: Costs, left_s: float) -> Leg | None:
    """Return what to run next; ``None`` where nothing is left that is worth it or fits into the time.

    First all go to the first stop, the likeliest first, as long as the best of them can be finished afterwards. Then
    the better half goes on to the next stop, two at the least, the best first.

    Args:
        members: Those that have not diverged, the likeliest first.
        stops: Numbers of epochs at which members are compared, without the last.
        costs: What training takes.
        left_s: Seconds for training.
    """
    stops = (*stops, costs.epochs)
    for member in members:
        if member.epochs < member.at(stops[0]) and _reach_first(member, members, stops[0], costs) <= left_s:
            return Leg(member.name, member.at(stops[0]))
    racing = {member.name: member for member in members if member.epochs >= member.at(stops[0])}
    for place, (stop, following) in enumerate(pairwise(stops), start=1):
        count = max(FINISHERS, len(members) // 2**place)
        racing = {name: racing[name] for name in _best(racing, stop, count)}
        for member in racing.values():
            if member.epochs < member.at(following) and costs.to_end(member) <= left_s:
                return Leg(member.name, member.at(following))
        racing = {name: member for name, member in racing.items() if member.epochs >= member.at(following)}
    return None


def missing_s(members: Sequence[Standing], costs: Costs, left_s: float) -> float:
    """Return how many seconds more would finish one member; 0 where they are there, or one is finished."""
    if not members or any(member.epochs >= member.at(costs.epochs) for member in members):
        return 0.0
    return max(0.0, min(map(costs.to_end, members)) - left_s)


def _reach_first(member: Standing, members: Sequence[Standing], stop: int, costs: Costs) -> float:
    """Return the seconds that a member's first leg takes, and then the best one to its end."""
    begun = {each.name: each for each in members if each.epochs >= each.at(stop)}
    if not begun or stop == costs.epochs:
        return costs.to_end(member)
    best = begun[_best(begun, stop, 1)[0]]
    return costs.of(member, member.at(stop)) + (costs.to_end(best) if best.epochs < best.at(costs.epochs) else 0.0)


def _best(members: Mapping[str, Standing], stop: int, count: int) -> list[str]:
    return going_on({name: member.losses[member.at(stop) - 1] for name, member in members.items()}, count)
