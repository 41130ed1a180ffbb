"""What a run keeps so that its answers can be doubted later: held-out answers, and features of training pictures.

Letters: N held-out pictures, M known ones, R of the reference, K outputs, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.base.files import whole_file
from tlearn.base.types import Task
from tlearn.models.network import PARTS
from tlearn.models.reliability.neighbours import KnownFeatures
from tlearn.models.state import fingerprint
from tlearn.models.weights.safe_load import read_checkpoint

FILE = "reliability.pt"
Source = Literal["out of fold", "validation"]
_FORMAT = 1


@dataclass(frozen=True)
class Evidence:
    """What is known of a network's answers beside its weights.

    Attributes:
        network: Fingerprint of the weights that it speaks of; see `fingerprint_of`.
        task: What the head gives.
        class_names: K names.
        training_pictures: How many there are; the known ones are evenly spread over them.
        source: Who gave the held-out answers: ``out of fold``, heads that had not seen the picture nor its group, or
            ``validation``, the network itself. ``None`` where nothing was held out.
        logits: float32 (N, K) of held-out pictures before calibration; values of a regression, in the user's unit.
        targets: Their class numbers (N,), labels (N, K) or values (N, K).
        groups: int64 (N,), the group of each; ``None`` without groups.
        stranger_scores: float32, how strange those of them are, or evenly spread ones, to a detector that has not seen
            them.
        strangers: State of the `StrangerDetector`; empty where there is none.
        known_features: float16 (M, D) of training pictures: what the head sees.
        known_targets: Their targets.
        known_names: M paths or numbers of them.
        reference_features: float16 (R, D) of pictures that the network has not learned from, to compare new ones with.
        properties: Name of a simple property, such as ``brightness``, to its values for some training pictures.
        reference_groups: int64 (R,), the group of each picture of the reference; ``None`` without groups.
    """

    network: str
    task: Task
    class_names: list[str]
    training_pictures: int
    source: Source | None
    logits: Tensor
    targets: Tensor
    groups: Tensor | None
    stranger_scores: Tensor
    strangers: dict[str, Tensor]
    known_features: Tensor
    known_targets: Tensor
    known_names: list[str]
    reference_features: Tensor
    properties: dict[str, Tensor] = field(default_factory=dict)
    reference_groups: Tensor | None = None

    @property
    def held_out(self) -> int:
        """Return N."""
        return len(self.logits)

    @cached_property
    def known(self) -> KnownFeatures:
        """Return the known pictures, among which neighbours are found; made once."""
        return KnownFeatures(self.known_features)

    def write(self, path: Path) -> None:
        """Write all of it as tensors and plain values.

        Raises:
            TlearnError: The disk refuses.
        """
        with whole_file(path) as partial:
            torch.save({"format": _FORMAT, **{each.name: getattr(self, each.name) for each in fields(self)}}, partial)


class Found(NamedTuple):
    """The evidence of a checkpoint, or why there is none.

    Attributes:
        evidence: ``None`` if there is none.
        lack: Why, in words that end in what to do; empty where there is some.
    """

    evidence: Evidence | None
    lack: str = ""

    def needed(self, what: str) -> Evidence:
        """Return the evidence.

        Args:
            what: Needs it, as ``--coverage 0.9``.

        Raises:
            TlearnError: There is none.
        """
        if self.evidence is None:
            raise TlearnError(f"{what} needs what a fit writes into {FILE}: {self.lack}")
        return self.evidence


def fingerprint_of(state: Mapping[str, Any]) -> str:
    """Hash the weights of backbone and head in a state dict."""
    return key_of({name: fingerprint(value) for name, value in sorted(state.items()) if name.startswith(PARTS)})


def evidence_of(checkpoint: Path) -> Found:
    """Look for the evidence that a fit wrote beside a checkpoint.

    Args:
        checkpoint: The checkpoint; its run folder holds `FILE`, or its own folder where it was moved with it.
    """
    inside = checkpoint.parent.name == "checkpoints"
    places = [*([checkpoint.parent.parent / FILE] if inside else []), checkpoint.parent / FILE]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return Found(None, f"there is no {places[0]}; fit again, and keep it beside the checkpoint")
    return _found_in(path, checkpoint, _stamp(path), _stamp(checkpoint))


@lru_cache(maxsize=1)  # two parts of a prediction ask for the same
def _found_in(path: Path, checkpoint: Path, *_: tuple[int, ...]) -> Found:
    """Read the evidence of a checkpoint, again where one of the two files is another."""
    try:
        found = _read(path)
    except TlearnError as error:
        return Found(None, str(error))
    if found.network != fingerprint_of(read_checkpoint(checkpoint)["state_dict"]):
        return Found(None, f"{path} is not of {checkpoint}; take best.ckpt of that run, or fit again")
    return Found(found)


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what tells a file from one that was written in its place; nothing of one that is not there."""
    if not path.is_file():
        return ()
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> Evidence:
    content = read_checkpoint(path)
    names = {each.name for each in fields(Evidence)}
    if content.get("format") != _FORMAT or not names <= content.keys():
        raise TlearnError(f"{path} is of another version of tlearn; fit again")
    return Evidence(**{name: content[name] for name in names})
