"""Sets of classes that hold the true one with a promised probability (split conformal prediction).

N held-out pictures, B new ones, K classes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.models.reliability.held_out import (
    Held,
    check_finite,
    check_share,
    infinite,
    need_more,
    threshold_of,
)

Method = Literal["lac", "raps"]
PENALTY, FREE_RANKS = 0.1, 1  # of RAPS


class SetRule(NamedTuple):
    """How answer sets are made, and what a report says of it.

    Attributes:
        method: ``lac``, ``raps``, or ``labels`` where a picture may have several.
        coverage: What was asked for.
        thresholds: Scores up to which a class is in the set, float64: (1,) for all classes, (K,) by class, (2, K) for
            labels, whose first row is for "no" and second for "yes". Infinite: always in.
        held_out: Pictures that the rule rests on.
        groups: Groups that these are of; 0 without groups.
        always: Classes (or labels) of which too few pictures were held out: they are in every set.
        mean_size: Mean number of classes in the sets of the held-out pictures; for labels, of states a label.
        single_share: Share of these sets that hold one class alone (one state, for labels).
    """

    method: Literal["lac", "raps", "labels"]
    coverage: float
    thresholds: Tensor
    held_out: int
    groups: int = 0
    always: tuple[int, ...] = ()
    mean_size: float = float("nan")
    single_share: float = float("nan")


def fit_sets(
    probabilities: Tensor,
    targets: Tensor,
    coverage: float,
    method: Method = "lac",
    groups: Tensor | None = None,
    by_class: bool = False,
) -> SetRule:
    """Find the threshold with which sets of classes hold the true one in the share `coverage` of new pictures.

    The promise is for pictures like the held-out ones, on average over all of them. By class it is made for each true
    class by itself (Mondrian, Vovk et al., 2005). With groups it is made for a picture of a new group, on average over
    groups, see `held_out.threshold_of`; both together mean a new group that has the class.

    Args:
        probabilities: Of held-out pictures, by a network that has not learned from them, (N, K).
        targets: Class numbers (N,).
        coverage: From 0 to 1, both excluded.
        method: ``lac`` takes the classes above one probability, which gives the smallest sets on average (Sadinle et
            al., 2019). ``raps`` takes the surest classes until their sum is enough, see `raps_scores`: sets differ
            more in size, larger where a picture is hard.
        groups: Group of each picture (N,), or ``None``.
        by_class: A threshold for each class. A class with fewer pictures (or groups) than ``held_out.fewest`` is in
            every set: nothing can be promised otherwise.

    Raises:
        TlearnError: `coverage` is no such share; probabilities are not finite; too few pictures or groups (by class:
            of every class).
    """
    check_share("coverage", coverage)
    scores = _scores(method, check_finite("probabilities", probabilities))
    held = Held(scores.gather(1, targets.long()[:, None])[:, 0], groups)
    if by_class:
        thresholds = _by_class(held, targets, scores.shape[1], coverage)
    else:
        thresholds = torch.tensor([threshold_of(held, coverage)], dtype=torch.float64)
    if bool(thresholds.isinf().all()):
        raise _too_few(held, targets, coverage) if by_class else need_more(held, coverage)
    always = tuple(thresholds.isinf().nonzero()[:, 0].tolist())
    rule = SetRule(method, coverage, thresholds, len(targets), 0 if groups is None else held.units, always)
    return _with_sizes(rule, answer_sets(rule, probabilities).sum(dim=1))


def answer_sets(rule: SetRule, probabilities: Tensor, raw: bool = False) -> Tensor:
    """Return which classes are in the set of each picture, bool (B, K).

    The surest class is always in: a user needs an answer. Where the network is right more often than `coverage`, most
    sets are that class alone, and hold the true one as often as the network is right, which is more than was asked for.

    Args:
        rule: From `fit_sets`.
        probabilities: (B, K), made as those of `fit_sets` were.
        raw: Without the surest class where it is not in by itself: sets of `lac` may then be empty, and hold the true
            class as often as was asked for, no more.

    Raises:
        TlearnError: Probabilities are not finite.
    """
    assert rule.method != "labels", "label_sets is for these"
    probabilities = check_finite("probabilities", probabilities)
    found = _scores(rule.method, probabilities) <= rule.thresholds.to(probabilities.device)
    return found if raw else found.scatter(1, probabilities.argmax(dim=1, keepdim=True), True)


def fit_label_sets(
    probabilities: Tensor,
    targets: Tensor,
    coverage: float,
    groups: Tensor | None = None,
    by_class: bool = False,
) -> SetRule:
    """Find thresholds for pictures that may have several labels: each label gets a set of "yes", "no" or both.

    The promise is for each label by itself: its set holds what is true in the share `coverage` of pictures. A rare
    label keeps it by a "no" nearly everywhere. By class it is made for pictures with the label and for those without
    by themselves: then the labels that may hold (`label_sets`) miss no more than ``1 - coverage`` of the pictures
    that have it.

    Args:
        probabilities: (N, K).
        targets: 0, 1 and NaN where it is unknown, (N, K). Unknown ones do not count.
        coverage: From 0 to 1, both excluded.
        groups: Group of each picture (N,), or ``None``.
        by_class: Thresholds for "yes" and "no" by themselves.

    Raises:
        TlearnError: As `fit_sets`.
    """
    check_share("coverage", coverage)
    probabilities = check_finite("probabilities", probabilities)
    thresholds = torch.stack([infinite(probabilities.shape[1])] * 2)
    largest = Held(probabilities[:0, 0], groups if groups is None else groups[:0])
    for label in range(probabilities.shape[1]):
        held = Held(1 - probabilities[:, label].where(targets[:, label] == 1, 1 - probabilities[:, label]), groups)
        for state in (0, 1):
            rows = targets[:, label] == state if by_class else ~targets[:, label].isnan()
            thresholds[state, label] = threshold_of(held.of(rows), coverage)
            largest = max(largest, held.of(rows), key=lambda each: each.units)
    if bool(thresholds.isinf().all()):
        raise need_more(largest, coverage, " of a label")
    always = tuple(thresholds.isinf().all(dim=0).nonzero()[:, 0].tolist())
    units = 0 if groups is None else len(groups.unique())
    rule = SetRule("labels", coverage, thresholds, len(targets), units, always)
    return _with_sizes(rule, label_sets(rule, probabilities).sum(dim=2).flatten())


def label_sets(rule: SetRule, probabilities: Tensor, raw: bool = False) -> Tensor:
    """Return for each label whether it may be absent and whether it may hold, bool (B, K, 2).

    ``[..., 1]`` are the labels that may hold; those of them that are not in ``[..., 0]`` surely do. The surer state is
    always in, unless `raw`; arguments and errors are those of `answer_sets`.
    """
    assert rule.method == "labels", "answer_sets is for these"
    probabilities = check_finite("probabilities", probabilities)
    states = torch.stack([1 - probabilities, probabilities], dim=2)
    found = 1 - states <= rule.thresholds.to(probabilities.device).T
    return found if raw else found.scatter(2, (probabilities >= 0.5).long()[..., None], True)


def raps_scores(probabilities: Tensor) -> Tensor:
    """Return the score of every class (B, K): the sum of all surer ones, and a penalty for each rank.

    Regularised adaptive prediction sets (Angelopoulos et al., 2021, arXiv 2009.14193), without their random number,
    which is 1 here for held-out and new pictures alike: the same picture gets the same set, and the surest class,
    whose score is 0, is always in. Classes of equal probability have equal scores. The penalty is `PENALTY` for each
    rank after the first `FREE_RANKS`.
    """
    ordered, order = probabilities.double().sort(dim=1, descending=True)
    places = torch.arange(ordered.shape[1], device=ordered.device).expand_as(ordered)
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = places.where(is_new, 0).cummax(dim=1).values  # of all that are as probable
    surer = (ordered.cumsum(dim=1) - ordered).gather(1, first)
    scores = surer + PENALTY * (first + 1 - FREE_RANKS).clamp_min(0).double()
    return torch.empty_like(scores).scatter(1, order, scores)


def _scores(method: str, probabilities: Tensor) -> Tensor:
    if method not in ("lac", "raps"):
        raise TlearnError(f"method: expected lac or raps, got {method}")
    return raps_scores(probabilities) if method == "raps" else 1 - probabilities


def _by_class(held: Held, targets: Tensor, classes: int, coverage: float) -> Tensor:
    thresholds = infinite(classes)
    for number in targets.unique().tolist():
        thresholds[number] = threshold_of(held.of(targets == number), coverage)
    return thresholds


def _too_few(held: Held, targets: Tensor, coverage: float) -> TlearnError:
    each = [held.of(targets == number) for number in targets.unique().tolist()]
    return need_more(max(each, key=lambda part: part.units, default=held), coverage, " of a class")


def _with_sizes(rule: SetRule, sizes: Tensor) -> SetRule:
    return rule._replace(mean_size=float(sizes.double().mean()), single_share=float((sizes == 1).double().mean()))
