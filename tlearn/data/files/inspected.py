"""Inspect the files of a split that are not excluded."""

from __future__ import annotations

from pathlib import Path

from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.boxes import of_box
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.file_list import FileList
from tlearn.data.files.inspection import Inspection, inspect_and_stamp


def inspected_files(split: str, files: FileList, root: Path, reading: Reading) -> dict[int, Inspection]:
    """Return the position of each file that is not excluded, and what was found in it.

    Args:
        split: Its name, for the progress.
        files: Its files.
        root: The folder that they lie in, with the exclusion list.
        reading: How they are read.
    """
    return inspected_and_stamped(split, files, root, reading)[0]


def inspected_and_stamped(
    split: str, files: FileList, root: Path, reading: Reading
) -> tuple[dict[int, Inspection], dict[int, str]]:
    """Return what `inspected_files` does, and in which state each file was then, as `stamp_of_file` gives it."""
    kept = kept_positions(files.names, read_exclusions(root))
    names = list(dict.fromkeys(files.names[number] for number in kept))  # a picture may hold several objects
    found, stamps = inspect_and_stamp([root / name for name in names], f"checking {split}", reading)
    by_name = dict(zip(names, zip(found, stamps, strict=True), strict=True))
    facts = {number: by_name[files.names[number]][0] for number in kept}
    stamped = {number: by_name[files.names[number]][1] for number in kept}
    boxes = files.boxes
    if boxes is not None:
        facts = {n: of_box(each, tuple(boxes[n].tolist())) for n, each in facts.items()}
    return facts, stamped
