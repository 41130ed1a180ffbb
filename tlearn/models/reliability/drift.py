"""Say whether new pictures are like the training pictures, what moved, and what to expect of the answers.

Letters: B new pictures, R reference pictures, N held-out ones, K classes, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.expected_accuracy import Expected, confidence_of, expected_accuracy, right_of
from tlearn.models.reliability.properties import OF_FILES, Moved, moved
from tlearn.models.reliability.strangers import STRANGER_SHARE, StrangerDetector, scores_of, stranger_share
from tlearn.models.reliability.two_sample import LEAST, TwoSample, properties_test, two_sample

LEVEL = 0.05  # so often pictures that are like the training pictures are said not to be
_CHANCE = 3.0  # standard errors: a property that moved by less may have moved by chance
_LEAST_MOVED = 0.2  # standard deviations, a small effect by Cohen's words
_MOST_CLASSES = 3  # whose shares are told


@dataclass(frozen=True)
class ClassShare:
    """How often a class is answered.

    Attributes:
        name: Of the class.
        before: Share of the answers for held-out pictures.
        after: The same for new pictures.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """New pictures compared with those of a run.

    Attributes:
        alike: The test finds no difference.
        level: So often it finds one where there is none.
        p: Twice the less of the two tests' p (Bonferroni); with groups that of the features alone.
        test: The test of the features.
        properties_p: The p of a permutation test of what can be measured in the pixels; ``None`` where it was not made.
        groups: How many groups of training pictures were compared with one another; 0 without groups.
        groups_distance: How far the most different of these groups is from the others, as `TwoSample.distance`.
        pictures: B, how many new pictures were looked at.
        properties: How far simple properties moved, the one that moved most first.
        strangers: Share of new pictures that look stranger than 95 % of the held-out ones; ``None`` if nobody knows.
        classes: Whose share of the answers moved most; none of a regression.
        expected: The accuracy to expect; ``None`` of a regression, or where nothing was held out.
    """

    alike: bool
    level: float
    p: float
    test: TwoSample
    properties_p: float | None
    groups: int
    groups_distance: float
    pictures: int
    properties: list[Moved]
    strangers: float | None
    classes: list[ClassShare]
    expected: Expected | None

    @property
    def moved_most(self) -> list[Moved]:
        """Return the properties that moved most, two at most, which moved by more than chance and enough to matter."""
        far = [each for each in self.properties if abs(each.standard_errors) >= _CHANCE]
        return [each for each in far if abs(each.difference) >= _LEAST_MOVED][:2]

    def as_plain(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        named = ("test", "properties", "classes", "expected")
        plain = {name: value for name, value in vars(self).items() if name not in named}
        expected = self.expected._asdict() if self.expected else None
        return plain | {
            "test": {"method": "MMD", **self.test._asdict()},
            "properties": [each._asdict() for each in self.properties],
            "classes": [asdict(each) for each in self.classes],
            "expected_accuracy": expected,
        }


def compare(
    evidence: Evidence,
    calibration: Calibration,
    features: Tensor,
    logits: Tensor,
    properties: Mapping[str, Tensor],
    level: float = LEVEL,
) -> Comparison | None:
    """Compare new pictures with the evidence of a run.

    Two permutation tests are made: of the features, and of what can be measured in the pixels, which sees a brightness
    that moved where a network hardly does. One of them is enough, at half the level each.

    With three groups or more (sites, patients) of which the reference has 8 pictures, new pictures are not alike only
    if they are further from the reference than every such group is from the others: a new site always differs a little,
    and that is what the run has seen among its own.

    Args:
        evidence: What the run kept.
        calibration: Of its network.
        features: Of new pictures, (B, D), what the head sees.
        logits: Of the same, before calibration, (B, K).
        properties: See `tlearn.models.reliability.properties`.
        level: How often a difference may be found where there is none.

    Returns:
        ``None`` if there are fewer than 8 pictures on a side: then nobody can tell.
    """
    reference = evidence.reference_features
    if min(len(reference), len(features)) < LEAST:
        return None
    test, distances = two_sample(reference.float(), features.float(), groups=evidence.reference_groups)
    furthest = float(distances.max()) if len(distances) else 0.0
    properties_p = None if len(distances) else _properties_p(evidence.properties, properties)
    p = test.p if properties_p is None else min(1.0, 2 * min(test.p, properties_p))
    strangers = _strangers(evidence, features.float(), logits.float())
    return Comparison(
        alike=p > level or (len(distances) > 0 and test.distance <= furthest),
        level=level,
        p=p,
        test=test,
        properties_p=properties_p,
        groups=len(distances),
        groups_distance=furthest,
        pictures=len(features),
        properties=moved(evidence.properties, properties),
        strangers=strangers,
        classes=_class_shares(evidence, logits),
        expected=_expected(evidence, calibration, logits.float(), strangers),
    )


def _properties_p(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> float | None:
    """Compare what every picture has: not the size nor the quality of files, which may change as they are copied."""
    names = [name for name in before if name in after and name not in OF_FILES]
    if not names or min(len(each[names[0]]) for each in (before, after)) < LEAST:
        return None
    reference, new = (torch.stack([each[name] for name in names], dim=1) for each in (before, after))
    return properties_test(reference, new)


def _strangers(evidence: Evidence, features: Tensor, logits: Tensor) -> float | None:
    if not evidence.strangers or not len(evidence.stranger_scores):
        return None
    scores = scores_of(StrangerDetector.restored(evidence.strangers), features, logits)
    return float((stranger_share(scores, evidence.stranger_scores) > STRANGER_SHARE).float().mean())


def _class_shares(evidence: Evidence, logits: Tensor) -> list[ClassShare]:
    if evidence.task == "regression" or not len(evidence.logits):
        return []
    if evidence.task == "multilabel":
        before, after = ((each > 0).double().mean(dim=0) for each in (evidence.logits, logits))
    else:
        shares = (each.argmax(dim=1).bincount(minlength=each.shape[1]).double() for each in (evidence.logits, logits))
        before, after = (each / each.sum() for each in shares)
    order = (after - before).abs().argsort(descending=True, stable=True)[:_MOST_CLASSES]
    return [ClassShare(evidence.class_names[row], float(before[row]), float(after[row])) for row in order.tolist()]


def _expected(evidence: Evidence, calibration: Calibration, logits: Tensor, strangers: float | None) -> Expected | None:
    if evidence.task == "regression" or not len(evidence.logits):
        return None
    held_out, new = (answers_of(evidence.task, each, calibration) for each in (evidence.logits, logits))
    return expected_accuracy(
        confidence_of(evidence.task, held_out),
        right_of(evidence.task, held_out, evidence.targets),
        confidence_of(evidence.task, new),
        max(0.0, (strangers or 0.0) - (1 - STRANGER_SHARE)),
    )
