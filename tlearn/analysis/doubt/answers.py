"""Answer for each picture by a head that has seen neither its label nor its group, and say what follows for the labels.

The head is ridge regression in closed form: of nine data sets and digits with flipped labels, its doubt found the flips
as well as that of logistic regression, or better, in a tenth to a hundredth of the time (`benchmarks/review/`).
Letters: N pictures, M of them with a label, D features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.analysis.doubt.label_noise import LabelNoise, fit_label_noise
from tlearn.analysis.doubt.scores import self_confidence
from tlearn.training.strategies.head_solver import Turned, ridge_path, turn, wanted_of
from tlearn.training.strategies.left_out import chosen_strength, folds_from, left_out_at
from tlearn.training.strategies.out_of_fold import fold_numbers_for, unanswered
from tlearn.training.strategies.stored_turn import stored_turn

_STRENGTH_IMAGES = 2048
UNKNOWN = -1  # the label of a picture that has none


class Answers(NamedTuple):
    """What heads say of all pictures, and how doubtful that makes their labels.

    Attributes:
        probabilities: float32 (N, K), of each true class before the label is looked at; NaN where the class of a
            picture lives in its group alone, so that no head without it knows the class.
        doubt: (N,), 0 to 1, see `self_confidence`; NaN without an answer or a label.
        wrong: (N,), the probability that the label is wrong; likewise.
        noise: What the probabilities were made with.
    """

    probabilities: Tensor
    doubt: Tensor
    wrong: Tensor
    noise: LabelNoise

    @property
    def proposals(self) -> Tensor:
        """Return the most probable class of each picture, int64 (N,); `UNKNOWN` without an answer."""
        best = self.probabilities.nan_to_num(nan=0.0).argmax(dim=1)
        return best.where(~self.probabilities.isnan().any(dim=1), UNKNOWN)


class Head:
    """Features of pictures, which are turned once for many solutions with other labels.

    Attributes:
        strength: Of the penalty of the last solution; ``None`` where there was nothing to solve.
    """

    def __init__(self, features: Tensor, groups: Tensor | None = None, keeps_turned: bool = False) -> None:
        """Keep what does not depend on labels.

        Args:
            features: float32 (N, D).
            groups: int64 (N,), pictures that are left out together; ``None`` leaves out single ones.
            keeps_turned: Keep on disk how all features are turned, which is most of the work.
        """
        self._features, self._groups, self._keeps_turned = features, groups, keeps_turned
        self._known = torch.zeros(0, dtype=torch.bool)
        self._turned: Turned | None = None
        self.strength: float | None = None

    def answers(self, labels: Tensor, num_classes: int) -> Answers:
        """Solve heads for labels, and answer for each picture by one that has not seen it.

        Args:
            labels: int64 (N,). Those that are `UNKNOWN` teach nothing; the head of all others answers for them.
            num_classes: K.
        """
        return judged(self.outputs(labels, num_classes), labels)

    def outputs(self, labels: Tensor, num_classes: int, strength: float | None = None) -> Tensor:
        """Return the outputs behind `answers`, (N, K), NaN where there are none.

        Args:
            labels: See `answers`.
            num_classes: K.
            strength: Of the penalty, one of `STRENGTHS`; by default the best for some of the pictures.
        """
        known = labels != UNKNOWN
        own, turned = labels[known], self._turned_of(known)
        groups = None if self._groups is None else self._groups[known]
        wanted = wanted_of("classification", own, num_classes)
        numbers = fold_numbers_for("classification", own, groups, num_classes, "ridge")
        folds = [] if numbers is None else folds_from(numbers)
        self.strength = strength or chosen_strength(turned, wanted, _some_of(folds))
        outputs = torch.full((len(labels), num_classes), torch.nan)
        if self.strength is not None:
            left_out = left_out_at(turned, wanted, folds, self.strength)
            if groups is not None:
                left_out[unanswered(own, folds, num_classes)] = torch.nan
            outputs[known] = left_out
            outputs[~known] = _of_all(turned, wanted, self.strength, self._features[~known])
        return outputs

    def _turned_of(self, known: Tensor) -> Turned:
        if self._turned is None or not torch.equal(known, self._known):
            is_whole = bool(known.all())
            rows = self._features if is_whole else self._features[known]
            keeps = self._keeps_turned and is_whole  # a part is another one after each session
            self._turned = stored_turn(rows) if keeps else turn(rows, torch.ones(len(rows)))
            self._known = known
        return self._turned


def judged(outputs: Tensor, labels: Tensor) -> Answers:
    """Turn outputs out of fold (N, K), NaN where there are none, into probabilities and doubt."""
    usable = (labels != UNKNOWN) & ~outputs.isnan().any(dim=1)
    noise = fit_label_noise(outputs[usable], labels[usable])
    probabilities = noise.probabilities(outputs)
    given = labels.clamp_min(0)
    doubt, wrong = self_confidence(probabilities, given), noise.probability_wrong(probabilities, given)
    return Answers(probabilities, doubt.where(usable, torch.nan), wrong.where(usable, torch.nan), noise)


def _some_of(folds: Sequence[Tensor]) -> list[Tensor]:
    """Return evenly spread folds, of some 2,000 pictures and at least two: the strength needs no more."""
    images = sum(len(fold) for fold in folds)
    count = min(len(folds), max(2, math.ceil(len(folds) * _STRENGTH_IMAGES / max(1, images))))
    return [folds[place] for place in torch.linspace(0, len(folds) - 1, count).long().tolist()]


def _of_all(turned: Turned, wanted: Tensor, strength: float, features: Tensor) -> Tensor:
    weight, bias = next((weight, bias) for each, weight, bias in ridge_path(turned, wanted) if each == strength)
    return turned.turned(features) @ weight.float().T + bias.float()
