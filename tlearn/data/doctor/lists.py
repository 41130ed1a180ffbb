"""What the doctor finds in lists of files and labels: names of classes, rare classes, files in the wrong place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence

from tlearn.data.classes.rare import too_few_to_divide
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.foreign_formats import unread_by_name
from tlearn.data.files.listing import endings, number_of, remedies
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.missing_files import misplaced, missing_files


def rare_classes(data: ImageFilesDataModule, pictures: Sequence[Picture], left_out: Container[str]) -> list[Finding]:
    """Look for classes that ``fit`` cannot divide into training and validation.

    Args:
        data: Says how it divides.
        pictures: Those of all splits.
        left_out: Names of pictures that will be left out.
    """
    if data.task != "classification" or data.val_fraction == 0 or any(picture.split == "val" for picture in pictures):
        return []
    train = [picture for picture in pictures if picture.split == "train" and not picture.facts.error]
    counts = Counter(picture.label for picture in train if picture.name not in left_out)
    # A class without any is another finding.
    told = too_few_to_divide({name: counts[name] for name in data.class_names if counts[name]})
    return [Finding("undividable_classes", "error", told)] if told else []


def skipped_files(data: ImageFilesDataModule) -> list[Finding]:
    """Name the files that are left out because their names are no pictures', by ending and class folder."""
    findings = []
    for split, names in data.skipped.items():
        if not names:
            continue
        liked = any(unread_by_name(name) for name in names)
        folders = Counter(name.split("/")[1] if name.count("/") > 1 else "" for name in names)
        places = ", ".join(f"{folder or 'no class'} {count}" for folder, count in sorted(folders.items()))
        count = number_of(len(names), "file is", "files are")
        what = f"{split}: {count} skipped for want of a picture's name: {endings(names)}; in {places}{remedies(names)}"
        findings.append(Finding("skipped_files", "warning" if liked else "note", what, [[name] for name in names]))
    return findings


def names_and_places(data: ImageFilesDataModule, pictures: Sequence[Picture]) -> tuple[list[Picture], list[Finding]]:
    """Look at the classes' names, and at files that are not where they are looked for.

    Returns:
        The pictures without those that are misplaced, which are no picture's fault, and what was found.
    """
    findings = [Finding(remark.kind, remark.severity, remark.what) for remark in data.class_remarks]
    faults = {picture.name: picture.facts.error for picture in pictures if picture.facts.error}
    told = misplaced(faults, len(pictures), data.root)
    if not told:
        return list(pictures), findings
    missing = set(missing_files(faults))
    findings.append(Finding("misplaced", "error", told, [[name] for name in sorted(missing)]))
    return [picture for picture in pictures if picture.name not in missing], findings
