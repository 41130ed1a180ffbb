"""Compare a folder of new pictures with what a run kept of its own. B pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch

from tlearn.base.errors import TlearnError
from tlearn.base.notebook.html_table import html_table
from tlearn.base.progress import Progress
from tlearn.data.files.listing import number_of
from tlearn.data.files.reading import read_and_remark, reason_of
from tlearn.data.images.on_disk import in_threads
from tlearn.data.sources.to_predict import list_several
from tlearn.deploy.drift.new_pictures import MOST, NewPictures
from tlearn.deploy.drift.words import report_lines, rows_of
from tlearn.deploy.loading import framing_of, load_module
from tlearn.models.reliability.drift import Comparison
from tlearn.models.reliability.evidence import evidence_of
from tlearn.models.reliability.two_sample import LEAST

_BATCH = 32


@dataclass(frozen=True)
class Drift:
    """Whether new pictures are like those of a run.

    Attributes:
        new: The pictures that were compared, as they were given.
        against: The checkpoint.
        found: How many pictures there are; of more than 500 evenly spread ones are looked at.
        unreadable: Why files gave no picture.
        comparison: All numbers.
    """

    new: str
    against: Path
    found: int
    unreadable: dict[str, str]
    comparison: Comparison

    @property
    def alike(self) -> bool:
        """Tell whether no difference was found."""
        return self.comparison.alike

    @property
    def lines(self) -> list[str]:
        """The report, line by line."""
        looked = number_of(self.comparison.pictures, "picture")
        of = (
            f" of {self.found:,}, evenly spread,"
            if self.comparison.pictures + len(self.unreadable) < self.found
            else ""
        )
        faults = f"; {number_of(len(self.unreadable), 'file')} gave no picture" if self.unreadable else ""
        return [f"{looked}{of} of {self.new} against {self.against}{faults}", *report_lines(self.comparison)]

    def as_plain(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        named = {"new": self.new, "against": str(self.against), "found": self.found, "unreadable": self.unreadable}
        return named | self.comparison.as_plain()

    def _repr_html_(self) -> str:
        """Show the numbers in a notebook."""
        lines = report_lines(self.comparison)
        table = html_table(rows_of(self.comparison), ("", "training", "new", "moved by"), lines[0])
        return table + "".join(f"<p>{escape(line)}</p>" for line in lines[1:] if not line.startswith("  "))


def drift_of(new: Sequence[str], checkpoint: Path, level: float) -> Drift:
    """Look at new pictures.

    Args:
        new: Folders, patterns, files.
        checkpoint: Of the run.
        level: How often a difference may be found where there is none.

    Raises:
        TlearnError: No pictures, too few of them, a run that kept nothing, or answers that are no numbers.
    """
    evidence = evidence_of(checkpoint).needed("--against")
    if len(evidence.reference_features) < LEAST:
        count = number_of(len(evidence.reference_features), "picture")
        raise TlearnError(f"{checkpoint}: the run kept {count} to compare with, {LEAST} are needed; fit it with more")
    root, names = list_several(new)
    every = max(1, -(-len(names) // MOST))
    paths = [root / name for name in names[::every]]
    network = load_module(checkpoint)
    framing, pictures, faults = framing_of(network), NewPictures(len(paths)), dict[str, str]()

    def read(path: Path) -> torch.Tensor | str:
        """Return an image, or why there is none."""
        try:
            return read_and_remark(path, framing)[0]
        except Exception as error:  # a damaged file fails in every way that its bytes can be misread
            return reason_of(error) or "unreadable"

    with Progress("looking at new pictures", len(paths), "pictures") as progress, torch.inference_mode():
        for start in range(0, len(paths), _BATCH):
            part = paths[start : start + _BATCH]
            images = in_threads(read, part)
            faults |= {str(path): image for path, image in zip(part, images, strict=True) if isinstance(image, str)}
            good = [(str(path), image) for path, image in zip(part, images, strict=True) if not isinstance(image, str)]
            if good:
                pixels = torch.stack([image for _, image in good])
                features = network.features(pixels)
                pictures.add(pixels, features, network(features), [path for path, _ in good], [False] * len(good))
            progress.advance(len(part))
    comparison = pictures.compared(evidence, network.calibration, level)
    if comparison is None:
        first = next(iter(faults.values()), "")
        why = f"; {number_of(len(faults), 'file')} gave no picture, the first: {first}" if faults else ""
        raise TlearnError(
            f"{number_of(len(pictures), 'picture')} cannot tell whether pictures have changed; give {LEAST} or more, "
            f"better 50{why}"
        )
    return Drift(" ".join(new), checkpoint, len(names), faults, comparison)
