"""What the doctor looks at, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tlearn.data.files.inspection import FileFacts


class Picture(NamedTuple):
    """A file of a split: its path relative to the root, its label as text, and what it holds.

    Where a picture may have several labels: those that it has, and those of which nobody knows. A value is no label.
    """

    split: str
    name: str
    label: str
    facts: FileFacts
    labels: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        kind: A short name.
        severity: ``error`` stops ``fit``; a ``warning`` spoils what it measures; a ``note`` may be as it should.
        what: What was found, and what helps, in a sentence.
        files: The files it is about; several that belong together stand in one group.
        exclude: Files that ``--fix`` puts on the exclusion list, with the reason.
    """

    kind: str
    severity: Literal["error", "warning", "note"]
    what: str
    files: list[list[str]] = field(default_factory=list)
    exclude: dict[str, str] = field(default_factory=dict)


def names_of(groups: Sequence[Sequence[Picture]]) -> list[list[str]]:
    """Name the pictures of each group."""
    return [[picture.name for picture in group] for group in groups]
