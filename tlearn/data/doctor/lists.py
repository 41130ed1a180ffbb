"""Findings about lists of pictures: skipped files, rare classes, labels and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import Literal

from tlearn.data.class_names import too_few_to_divide
from tlearn.data.decoding.foreign_formats import unread_by_name
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.listing import endings, number_of, told_of_unread
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.table_paths import misplaced, missing_files


def rare_classes(data: ImageFilesDataModule, pictures: Sequence[Picture], left_out: Container[str]) -> list[Finding]:
    """Find classes that ``fit`` cannot split into training and validation.

    Args:
        data: Gives the options of the split.
        pictures: The pictures of all splits.
        left_out: Names of pictures that will be left out.
    """
    if data.task != "classification" or data.val_fraction == 0 or any(picture.split == "val" for picture in pictures):
        return []
    train = [picture for picture in pictures if picture.split == "train" and not picture.facts.error]
    counts = Counter(picture.label for picture in train if picture.name not in left_out)
    # A class without images is another finding.
    told = too_few_to_divide({name: counts[name] for name in data.class_names if counts[name]})
    return [Finding("undividable_classes", "error", told)] if told else []


def skipped_files(data: ImageFilesDataModule) -> list[Finding]:
    """Count the files that are skipped because of their endings, by ending and class folder."""
    findings = []
    for split, names in data.skipped.items():
        if not names:
            continue
        unread, rest = told_of_unread(names, split), [name for name in names if not unread_by_name(name)]
        folders = sorted(Counter(names.values()).items())
        places = ", ".join(f"{folder or 'no class'} {count}" for folder, count in folders)
        count = number_of(len(rest), "file is", "files are")
        by_name = "not a picture by its name" if len(rest) == 1 else "not pictures by their names"
        skipped = f"{split}: {count} skipped, {by_name}: {endings(rest)}" if rest else ""
        what = f"{'; '.join(filter(None, [unread, skipped]))}; in {places}"
        findings.append(Finding("skipped_files", "warning" if unread else "note", what, [[name] for name in names]))
    return findings


def names_and_places(data: ImageFilesDataModule, pictures: Sequence[Picture]) -> tuple[list[Picture], list[Finding]]:
    """Find doubtful class names, and files that do not exist because the root is wrong.

    Returns:
        The pictures without those files, and the findings.
    """
    findings = [Finding(remark.kind, remark.severity, remark.what) for remark in data.class_remarks]
    faults = {picture.name: picture.facts.error for picture in pictures if picture.facts.error}
    told = misplaced(faults, len(pictures), data.root)
    if not told:
        return list(pictures), findings
    missing = set(missing_files(faults))
    findings.append(Finding("misplaced", "error", told, [[name] for name in sorted(missing)]))
    return [picture for picture in pictures if picture.name not in missing], findings


_FEW = 10  # training images with a label


def diagnose_labels(pictures: Sequence[Picture], class_names: Sequence[str]) -> Iterator[Finding]:
    """Find labels that no picture has, that few have, or of which little is known, in each split.

    Args:
        pictures: The pictures of all splits; those without ``labels`` give no finding.
        class_names: Names of all labels.
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
