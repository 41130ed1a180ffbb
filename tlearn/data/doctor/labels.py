"""What is wrong with the labels of pictures that may have several: pure functions over what an inspection found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from tlearn.data.files.findings import Finding, Picture

_FEW = 10  # images that have a label, to train on


def diagnose_labels(pictures: Sequence[Picture], class_names: Sequence[str]) -> Iterator[Finding]:
    """Look for labels that nobody has, that few have, or of which little is known, split by split.

    Args:
        pictures: Those of all splits, with their ``labels``; others give no finding.
        class_names: All that there are.
    """
    for split in dict.fromkeys(picture.split for picture in pictures):
        members = [p for p in pictures if p.split == split and p.labels is not None and not p.facts.error]
        if not members:
            continue
        held = Counter(name for picture in members for name in picture.labels or ())
        unknown = Counter(name for picture in members for name in picture.unknown)
        blank = [name for name in class_names if unknown[name] == len(members)]
        if blank:
            severity: Literal["error", "warning"] = "error" if split == "train" else "warning"  # `fit` stops
            yield Finding("unknown_labels", severity, f"no {split} picture says anything of: {', '.join(blank)}")
        absent = [name for name in class_names if not held[name] and name not in blank]
        if absent:
            yield Finding("absent_classes", "warning", f"no {split} picture has: {', '.join(absent)}")
        few = [f"{name} {held[name]}" for name in class_names if 0 < held[name] < _FEW]
        if few and split == "train":
            yield Finding("tiny_classes", "warning", f"fewer than {_FEW} pictures to train on: {', '.join(few)}")
        gaps = [f"{name} {unknown[name]} of {len(members)}" for name in class_names if 0 < unknown[name] < len(members)]
        if gaps:
            what = f"{split} does not say, left out of loss and metrics: {', '.join(gaps)}"
            yield Finding("unknown_labels", "note", what)
