"""The rules that choose a network from its features: constants, schedules of halving, and published scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor

from benchmarks.networks.cases import Case
from benchmarks.networks.features import TRIED
from benchmarks.networks.scores import SCORES
from tlearn.analysis.race.paired import standard_error

_QUICKER = 1.5  # times: what tlearn asks of a network that is taken for its speed
_SHARE = 0.35  # of the pictures that all networks would see if each saw all
_GROWS = 2  # times the pictures of the round before
_LEAST = 1.1  # times: a round of fewer more pictures is none


class Choice(NamedTuple):
    """A network, and what share of all pictures went through networks for it."""

    network: str
    share: float


Rule = Callable[[Case], Choice]


def _mean_loss(case: Case, images: int, name: str) -> float:
    return float(case.judged(name, images).losses.mean())


def _errors(case: Case, images: int, name: str) -> Tensor:
    return (case.judged(name, images).answers.argmax(dim=1) != case.labels_of[:images]).double()


def least(case: Case, names: list[str], images: int) -> str:
    """Return the network with the least squared error."""
    return min(names, key=partial(_mean_loss, case, images))


def quick(case: Case, names: list[str], images: int) -> str:
    """Return the quickest within an error of the fewest errors, if clearly quicker; else that of the fewest."""
    errors = {name: _errors(case, images, name) for name in names}
    best = min(names, key=lambda name: (float(errors[name].mean()), _mean_loss(case, images, name)))
    more = {name: own - errors[best] for name, own in errors.items()}
    near = [name for name in names if float(more[name].mean()) <= standard_error(more[name])]
    quicker = [name for name in near if _QUICKER * case.ms_each(name) <= case.ms_each(best)]
    return min(quicker, key=case.ms_each, default=best)


Finish = Callable[[Case, list[str], int], str]


def halving(case: Case, of_class: int, finish: Finish) -> Choice:
    """Let the better half go on, each round at the same cost; the first has so many of a class at least."""
    counts, names, seen = [len(case.networks)], list(case.networks), dict.fromkeys(case.networks, 0)
    while counts[-1] > 2:
        counts.append(-(-counts[-1] // 2))
    room, images = 0.0, 0
    for count in counts:
        if images:
            names = sorted(names, key=partial(_mean_loss, case, images))[:count]
        room += _SHARE * len(seen) * len(case.order) / len(counts) / count
        images = min(len(case.order), max(of_class * case.num_classes, int(room)))
        seen |= dict.fromkeys(names, images)
    return Choice(finish(case, names, images), sum(seen.values()) / len(case.order) / len(seen))


def within_error(case: Case, of_class: int, finish: Finish) -> Choice:
    """Let all within one standard error of the best go on, on twice the pictures, while the share allows more."""
    total, names = len(case.order), list(case.networks)
    images = min(total, of_class * case.num_classes)
    spent = images * len(names)
    while len(names) > 1:
        best = case.judged(least(case, names, images), images).losses
        more = {name: case.judged(name, images).losses - best for name in names}
        names = [name for name, own in more.items() if float(own.mean()) <= standard_error(own) or not own.any()]
        room = (_SHARE * len(case.networks) * total - spent) / len(names)
        following = int(min(total, images + room, _GROWS * images))
        if len(names) == 1 or following < _LEAST * images:
            break
        spent += (following - images) * len(names)
        images = following
    return Choice(finish(case, names, images), spent / total / len(case.networks))


def at_once(case: Case, share: float, finish: Finish) -> Choice:
    """Let all networks see the same share of the pictures."""
    images = int(share * len(case.order))
    return Choice(finish(case, case.networks, images), images / len(case.order))


def published(case: Case, score: Callable[[Tensor, Tensor], float]) -> Choice:
    """Take the highest score of the last stage on all pictures."""
    found = {name: score(case.rows(name)[case.last(name)], case.labels_of) for name in case.networks}
    return Choice(max(found, key=found.__getitem__), 1.0)


def _always(name: str, _: Case) -> Choice:
    return Choice(name, 0.0)


CONSTANTS: dict[str, Rule] = {f"always {name}": partial(_always, name) for name in TRIED}
_FINISHES: dict[str, Finish] = {"": least, ", quicker": quick}
SCHEDULES: dict[str, Rule] = {}
for _word, _finish in _FINISHES.items():
    for _count in (4, 8, 10):
        SCHEDULES[f"halving from {_count} a class{_word}"] = partial(halving, of_class=_count, finish=_finish)
    for _count in (4, 8, 10):
        SCHEDULES[f"within the error from {_count} a class{_word}"] = partial(
            within_error, of_class=_count, finish=_finish
        )
    SCHEDULES[f"all at once, 35 %{_word}"] = partial(at_once, share=_SHARE, finish=_finish)
# On 25 labels a class alone: on 100 they take minutes a set
DEAR: dict[str, Rule] = {
    f"all at once, 100 %{word}": partial(at_once, share=1.0, finish=f) for word, f in _FINISHES.items()
}
DEAR |= {name: partial(published, score=score) for name, score in SCORES.items()}
