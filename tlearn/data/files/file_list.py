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
        groups: N names of groups, whose pictures are never divided, ``None`` for a file without one; ``None`` where
            no groups are known.
    """

    names: list[str]
    targets: Tensor
    remarks: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    boxes: Tensor | None = None
    groups: list[str | None] | None = None

    def part(self, chosen: Tensor, remarks: str, skipped: dict[str, str]) -> Self:
        """Return the files that are chosen, bool (N,)."""
        rows = chosen.nonzero().flatten().tolist()
        names, groups = [self.names[row] for row in rows], self.groups and [self.groups[row] for row in rows]
        boxes = None if self.boxes is None else self.boxes[chosen]
        return type(self)(names, self.targets[chosen], remarks, skipped, boxes, groups)
