"""What answers are worth as further outputs of an exported network: tensors in, tensors out, nothing to look up.

N images, D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tlearn.base.types import LABEL_THRESHOLD
from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.summary import promise_of
from tlearn.models.reliability.strangers import STRANGER_SHARE, StrangerDetector

_SCORE_SLACK = 10  # a score is a sum of as many squares as there are features, in deviations of 1
_MEANINGS = {
    "answer_set": "bool (N, K): the classes in the set of each image",
    "low": "float32 (N, K): lower ends of the intervals of the values",
    "high": "float32 (N, K): upper ends of the intervals of the values",
    "stranger": "float32 (N,): share of held-out images that look less strange; above {share:g} the image looks like "
    "none of the training images",
    "answered": "bool (N,), (N, K) where an image may have several classes: false where the answer is unknown",
}


class WorthOutputs(nn.Module):
    """The further outputs.

    Args:
        assessor: Has fitted what is asked.
        slack: By how much probabilities and scores may miss a threshold and still count as answered, in the set, and
            less strange; another implementation must lie between two of these.

    Attributes:
        names: Of the outputs, in their order.
    """

    set_to: Tensor
    half_widths: Tensor
    answer_from: Tensor
    held_out_scores: Tensor

    def __init__(self, assessor: Assessor, slack: float = 0.0) -> None:
        super().__init__()
        rules, options = assessor.rules, assessor.options
        self._several, self._slack = assessor.task == "multilabel", slack
        self.names: list[str] = []
        if rules.sets is not None:
            assert rules.sets.method in ("lac", "labels")
            self.names.append("answer_set")
            thresholds = rules.sets.thresholds[1] if rules.sets.method == "labels" else rules.sets.thresholds
            self.register_buffer("set_to", thresholds + slack)
        if rules.intervals is not None:
            self.names += ["low", "high"]
            self.register_buffer("half_widths", rules.intervals.half_widths)
        self.detector: StrangerDetector | None = None
        if options.unknown:
            self.names.append("stranger")
            self.detector = StrangerDetector.restored(assessor.detector.state_dict())
            self.register_buffer("held_out_scores", assessor.stranger_scores.double() + _SCORE_SLACK * slack)
        if options.abstains:
            self.names.append("answered")
            least = [torch.inf if each.confidence is None else each.confidence for each in rules.thresholds]
            self.register_buffer("answer_from", torch.tensor(least or [-torch.inf], dtype=torch.float64) - slack)

    def forward(self, features: Tensor, output: Tensor, answers: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs that are named.

        Args:
            features: What the head saw, (N, D).
            output: What it gave, (N, K).
            answers: Probabilities (N, K), or values (N, K).
        """
        found = dict[str, Tensor]()
        if "answer_set" in self.names:
            found["answer_set"] = self._sets(answers)
        if "low" in self.names:
            found["low"] = (answers.double() - self.half_widths).float()
            found["high"] = (answers.double() + self.half_widths).float()
        if self.detector is not None:
            found["stranger"] = self._stranger_shares(self.detector(features, output))
        if "answered" in self.names:
            found["answered"] = self._answered(answers, found.get("stranger"))
        return tuple(found[name] for name in self.names)

    def _sets(self, answers: Tensor) -> Tensor:
        found = 1 - answers.double() <= self.set_to
        if self._several:
            return found | (answers >= LABEL_THRESHOLD - self._slack)
        if self._slack:
            return found | (answers >= answers.amax(dim=1, keepdim=True) - self._slack)
        surest = answers.argmax(dim=1, keepdim=True)
        return found | (torch.arange(answers.shape[1], device=answers.device) == surest)

    def _stranger_shares(self, scores: Tensor) -> Tensor:
        """Return what `stranger_share` does, without a search, which ONNX lacks."""
        rows = torch.where(scores.isnan(), torch.inf, scores.double())
        less = (self.held_out_scores < rows[:, None]).sum(dim=1)
        return (less.double() / (len(self.held_out_scores) + 1)).float()

    def _answered(self, answers: Tensor, stranger: Tensor | None) -> Tensor:
        if self._several:
            found = torch.maximum(answers, 1 - answers).double() >= self.answer_from
        else:
            found = answers.amax(dim=1).double() >= self.answer_from
        if stranger is None:
            return found
        is_usual = stranger <= STRANGER_SHARE
        return found & (is_usual[:, None] if self._several else is_usual)


def about_outputs(assessor: Assessor) -> Mapping[str, Any]:
    """Say what the further outputs mean and promise, as plain values."""
    names = WorthOutputs(assessor).names
    options = assessor.options
    return {
        "outputs": {name: _MEANINGS[name].format(share=STRANGER_SHARE) for name in names},
        "promises": promise_of(assessor),
        **{name: value for name, value in options.typed.items() if name != "nearest"},
    }
