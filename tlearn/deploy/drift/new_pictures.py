"""Gather what is compared of new pictures, evenly spread over all of them. B pictures, D features, K outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from tlearn.data.doctor.file_facts import file_facts
from tlearn.models.calibration import Calibration
from tlearn.models.reliability.drift import Comparison, compare
from tlearn.models.reliability.evidence import Evidence
from tlearn.models.reliability.properties import properties_of, properties_of_files

MOST = 500  # pictures: the test compares no more of them


class NewPictures:
    """What was seen of new pictures so far.

    Args:
        count: How many there will be; of more than `MOST` every second, third, ... is looked at.
    """

    def __init__(self, count: int) -> None:
        self._every, self._seen = max(1, -(-count // MOST)), 0
        self._features, self._logits = list[Tensor](), list[Tensor]()
        self._properties, self._paths = list[dict[str, Tensor]](), list[str]()

    def add(self, pixels: Tensor, features: Tensor, logits: Tensor, paths: list[str], faulty: list[bool]) -> None:
        """Take the next pictures.

        Args:
            pixels: uint8 (B, C, H, W), as the network got them.
            features: (B, D), what the head saw.
            logits: (B, K), before calibration.
            paths: Their files; empty if they have none.
            faulty: Which files gave no picture: these are left out.
        """
        rows = [row for row, is_faulty in enumerate(faulty) if not is_faulty]
        kept = [row for place, row in enumerate(rows, self._seen) if place % self._every == 0]
        self._seen += len(rows)
        if not kept:
            return
        self._features.append(features[kept].detach().float().cpu())
        self._logits.append(logits[kept].detach().float().cpu())
        self._properties.append(properties_of(pixels[kept].cpu()))
        self._paths += [paths[row] for row in kept] if paths else []

    def __len__(self) -> int:
        """Count the pictures that are compared."""
        return sum(map(len, self._features))

    def compared(self, evidence: Evidence, calibration: Calibration, level: float) -> Comparison | None:
        """Compare them with what a run kept; ``None`` if there are too few."""
        if not len(self):
            return None
        properties = {name: torch.cat([part[name] for part in self._properties]) for name in self._properties[0]}
        properties |= properties_of_files(file_facts(self._paths))
        return compare(evidence, calibration, torch.cat(self._features), torch.cat(self._logits), properties, level)
