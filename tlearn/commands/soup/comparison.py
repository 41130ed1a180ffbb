"""Compare single runs, their soups and their ensemble on the same images. N images, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tlearn.analysis.race.paired import image_losses
from tlearn.analysis.ranking import Groups, is_mcnemar
from tlearn.analysis.soups.candidates import Candidate, Judged, Kept, Kind, compared_with, judged, kept_of
from tlearn.analysis.soups.greedy import greedy_soup
from tlearn.commands.compare.measured_fit import SCORE, reported_scores
from tlearn.commands.soup.answers import Answers, EvaluatedSplit
from tlearn.commands.soup.members import Member
from tlearn.models.calibration import AS_TRAINED
from tlearn.models.ensembles.average import averaged_outputs
from tlearn.models.losses import answers_of
from tlearn.models.state import check_loss

_WORDS: dict[Kind, str] = {"soup": "uniform soup", "greedy": "greedy soup", "ensemble": "ensemble"}


@dataclass(frozen=True)
class Table:
    """All candidates on one split.

    Attributes:
        split: ``val`` or ``test``.
        rows: The best single run first, which validation chose, then the other runs, then what is made of them.
        images: N.
        exact: The test was McNemar's, else one by permutation.
        groups: The number of groups; ``None`` without groups.
    """

    split: EvaluatedSplit
    rows: list[Judged]
    images: int
    exact: bool
    groups: int | None


@dataclass(frozen=True)
class SoupComparison:
    """What the comparison of runs and their averages found.

    Attributes:
        score: Kind of an image's score: ``accuracy``, ``F1`` or ``absolute error``.
        val: The table of validation, which chose.
        test: That of the test images, where they were asked for.
        kept: What is kept.
        forced: It was asked for, not chosen.
        greedy: The runs that the greedy choice took, the best first.
        norms: How many BatchNorms were measured anew in each soup; the statistics of all others are the same in all.
        states: Name of a soup to its weights.
    """

    score: str
    val: Table
    test: Table | None
    kept: Kept
    forced: bool
    greedy: tuple[str, ...]
    norms: int
    states: dict[str, dict[str, Tensor]] = field(repr=False)

    @property
    def members(self) -> list[str]:
        """Return the names of the runs, the one with the least validation loss first."""
        return [row.candidate.name for row in self.val.rows if row.candidate.kind == "single"]

    @property
    def factor(self) -> float:
        """Return what scores are multiplied with to be shown: shares are shown in per cent."""
        return 1.0 if self.score == "absolute error" else 100.0


class _Split:
    """What is right for the images of a split, and how outputs become candidates."""

    def __init__(self, answers: Answers, split: EvaluatedSplit, task: Any) -> None:
        self.answers, self.split, self.task = answers, split, task
        self.targets = answers.targets(split)
        groups = answers.groups(split)
        self.groups: Groups | None = None if groups is None else groups.numpy()

    def candidate(self, name: str, kind: Kind, members: Sequence[str], outputs: Tensor) -> Candidate:
        learned = self.answers.learned(self.targets)
        losses = image_losses(self.task, outputs, learned).double()
        check_loss(float(losses.mean()), name)
        given = self.answers.restored(answers_of(self.task, outputs, AS_TRAINED))
        return Candidate(name, kind, tuple(members), losses.numpy(), reported_scores(self.task, given, self.targets))

    def table(self, candidates: Sequence[Candidate]) -> Table:
        groups = None if self.groups is None else len(set(self.groups.tolist()))
        exact = groups is None and all(is_mcnemar(each.scores[None]) for each in candidates)
        return Table(self.split, judged(candidates, self.groups), len(self.targets), exact, groups)


class _Kitchen:
    """Makes soups and remembers what they answer to validation."""

    def __init__(self, val: _Split, members: Sequence[Member]) -> None:
        self._val, self._answers = val, val.answers
        self.states: dict[tuple[str, ...], dict[str, Tensor]] = {(each.name,): dict(each.state) for each in members}
        self.outputs: dict[tuple[str, ...], Tensor] = {}
        for names, state in self.states.items():
            self.outputs[names] = self._answers.outputs(state, "val")

    def of(self, names: tuple[str, ...]) -> Tensor:
        """Return the outputs of a soup (N, K), which is made if it is not there."""
        if names not in self.outputs:
            self.states[names] = self._answers.soup(names)
            self.outputs[names] = self._answers.outputs(self.states[names], "val")
        return self.outputs[names]

    def loss_of(self, names: tuple[str, ...]) -> float:
        """Return the validation loss of a soup."""
        return self._val.candidate("a soup", "soup", names, self.of(names)).loss


def compare_soups(answers: Answers, members: Sequence[Member], keep: Kind | None, tests: bool) -> SoupComparison:
    """Compare the members, their soups and their ensemble.

    Args:
        answers: Lets weights answer.
        members: Of one network.
        keep: What to keep, whatever validation says; ``None`` lets it choose.
        tests: Compare on the test images too, which are open.

    Raises:
        TlearnError: A loss is no number.
    """
    task = members[0].options.task
    val = _Split(answers, "val", task)
    kitchen = _Kitchen(val, members)
    names = [each.name for each in members]
    singles = [val.candidate(name, "single", (name,), kitchen.of((name,))) for name in names]
    singles.sort(key=lambda each: each.loss)
    ranked = tuple(each.name for each in singles)
    greedy = greedy_soup(ranked, kitchen.loss_of)
    made = _made_of(ranked, greedy)
    averages = [val.candidate(name, *about, _outputs(*about, task, kitchen)) for name, about in made.items()]
    candidates = [*singles, *averages]
    chosen = kept_of(candidates, val.groups)
    kept = chosen if keep is None else compared_with(_forced(keep, candidates, greedy), chosen.least, val.groups)
    states = {name: kitchen.states[of] for name, (kind, of) in made.items() if kind != "ensemble"}
    return SoupComparison(
        SCORE[task],
        val.table(candidates),
        _tested(_Split(answers, "test", task), candidates, kitchen) if tests else None,
        *(kept, keep is not None, greedy, len(answers.norms), states),
    )


def _made_of(ranked: tuple[str, ...], greedy: tuple[str, ...]) -> dict[str, tuple[Kind, tuple[str, ...]]]:
    """Name what is made of the runs; a greedy soup of all of them, or of one, is no other than those."""
    found: dict[str, tuple[Kind, tuple[str, ...]]] = {_named("soup", ranked): ("soup", ranked)}
    if 1 < len(greedy) < len(ranked):
        found[_named("greedy", greedy)] = "greedy", greedy
    return found | {_named("ensemble", ranked): ("ensemble", ranked)}


def _named(kind: Kind, names: Sequence[str]) -> str:
    return f"{_WORDS[kind]} of {len(names)}"


def _outputs(kind: Kind, names: tuple[str, ...], task: Any, kitchen: _Kitchen) -> Tensor:
    if kind != "ensemble":
        return kitchen.of(names)
    return averaged_outputs(task, torch.stack([kitchen.of((name,)) for name in names]))


def _forced(keep: Kind, candidates: Sequence[Candidate], greedy: Sequence[str]) -> Candidate:
    """Return the candidate that is asked for; a greedy soup of all runs is the uniform one, of one run that run."""
    wanted: Kind = keep
    if keep == "greedy" and all(each.kind != "greedy" for each in candidates):
        wanted = "single" if len(greedy) == 1 else "soup"
    return next(each for each in candidates if each.kind == wanted)


def _tested(test: _Split, candidates: Sequence[Candidate], kitchen: _Kitchen) -> Table:
    """Compare the same candidates on the test images, in the same order."""
    answers = test.answers
    of_members = {
        each.name: answers.outputs(kitchen.states[each.members], "test") for each in candidates if each.kind == "single"
    }
    found = []
    for each in candidates:
        if each.kind == "single":
            outputs = of_members[each.name]
        elif each.kind == "ensemble":
            outputs = averaged_outputs(test.task, torch.stack([of_members[name] for name in each.members]))
        else:
            outputs = answers.outputs(kitchen.states[each.members], "test")
        found.append(test.candidate(each.name, each.kind, each.members, outputs))
    return test.table(found)
