"""What the doctor finds in lists before a picture is looked at: names of classes, and files in the wrong place."""

from __future__ import annotations

from collections.abc import Sequence

from tlearn.data.doctor import Finding, Picture
from tlearn.data.image_files import ImageFilesDataModule
from tlearn.data.missing_files import misplaced, missing_files


def names_and_places(data: ImageFilesDataModule, pictures: Sequence[Picture]) -> tuple[list[Picture], list[Finding]]:
    """Look at the classes' names, and at files that are not where they are looked for.

    Returns:
        The pictures without those that are misplaced, which are no picture's fault, and what was found.
    """
    findings = [Finding(remark.kind, remark.severity, remark.what) for remark in data.name_remarks]
    faults = {picture.name: picture.facts.error for picture in pictures if picture.facts.error}
    told = misplaced(faults, len(pictures), data.root)
    if not told:
        return list(pictures), findings
    missing = set(missing_files(faults))
    findings.append(Finding("misplaced", "error", told, [[name] for name in sorted(missing)]))
    return [picture for picture in pictures if picture.name not in missing], findings
