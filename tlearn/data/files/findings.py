"""The doctor's input, pictures, and its output, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tlearn.data.files.inspection import Inspection


class Picture(NamedTuple):
    """A file of a split: path relative to the root, label as text, and what the inspection found.

    With several labels an image, ``labels`` are those that it has and ``unknown`` those that are not known. A
    regression has neither. ``is_part`` tells that it is an object inside a picture, whose look as a whole says nothing.
    ``group`` names what is never divided, such as its site or patient, if that is known. ``is_decided`` tells that
    somebody has looked at it and decided on its label.
    """

    split: str
    name: str
    label: str
    facts: Inspection
    labels: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()
    is_part: bool = False
    group: str | None = None
    is_decided: bool = False


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: A short name.
        severity: ``error`` stops ``fit``, ``warning`` makes its results unreliable, ``note`` may be intended.
        what: What was found and what to do, a sentence.
        files: The files concerned, in groups that belong together.
        exclude: Files that ``--fix`` puts on the exclusion list, with the reason.
    """

    kind: str
    severity: Literal["error", "warning", "note"]
    what: str
    files: list[list[str]] = field(default_factory=list)
    exclude: dict[str, str] = field(default_factory=dict)


def names_of(groups: Sequence[Sequence[Picture]]) -> list[list[str]]:
    """Return the names of the pictures of each group."""
    return [[picture.name for picture in group] for group in groups]
