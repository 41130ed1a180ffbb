"""The files of a split, with their targets. Letters: N files, K classes or columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from torch import Tensor


@dataclass
class FileList:
    """The files of a split.

    Attributes:
        names: N paths relative to the root.
        targets: As in `Batch`, (N,), (N, K) or (N, 1).
        remarks: What was left out while listing, in one line.
        skipped: Paths of files whose endings are not of pictures, and their class folders, empty outside of any.
        boxes: int64 (N, 4), the objects to cut out of the files; see `tlearn.data.files.boxes`.
    """

    names: list[str]
    targets: Tensor
    remarks: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    boxes: Tensor | None = None

    def part(self, chosen: Tensor, remarks: str, skipped: dict[str, str]) -> Self:
        """Return the files that are chosen, bool (N,)."""
        names = [name for name, is_chosen in zip(self.names, chosen.tolist(), strict=True) if is_chosen]
        boxes = None if self.boxes is None else self.boxes[chosen]
        return type(self)(names, self.targets[chosen], remarks, skipped, boxes)
