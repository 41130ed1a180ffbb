"""Findings about groups: in two splits, alike across groups, and names that suggest groups where none are given."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tlearn.data.files.findings import Finding, Picture, names_of
from tlearn.data.files.listing import listed, number_of
from tlearn.data.groups.rule import OPTION, groups_of_paths, told_of_gaps

_WORDS = "site|patient|subject|subj|person|speaker|camera|cam|video|vid|clip|scene|session|plot|slide|specimen|animal"
_MOST = 3  # groups that are named
_MATCHED = 0.95  # share of the pictures whose names must fit
_TOGETHER = 0.25  # share of the pictures that must share their group with others
_LARGEST = 0.9  # share of the pictures that one group may hold
_FEWER = 1.5  # by what factor the groups of a part of the name must be fewer, to be preferred to all before the number

_WORD = rf"(?i)((?:{_WORDS})[_-]?\d+)"
_STEM = r"([^/]+)[_-]\d+\.[^./]+$"
_PART = r"[_-]([^_/-]+)[_-]\d+\.[^./]+$"


class Suggestion(NamedTuple):
    """Groups that names suggest.

    Attributes:
        option: What to give for ``group``: a folder level, or an expression.
        names: The names of the groups, the largest first.
        why: What the names have in common.
    """

    option: int | str
    names: list[str]
    why: str


def group_findings(
    pictures: Sequence[Picture], group: int | str | None, needs_all: bool, above: int = 1
) -> Iterator[Finding]:
    """Find groups in two splits and pictures without one; or, where no groups are given, names that suggest some.

    Args:
        pictures: Those of all splits.
        group: The option.
        needs_all: A picture without a group stops ``fit``.
        above: How many folders lie above those of a class's own, of which the first levels may be groups.
    """
    train = [picture for picture in pictures if picture.split == "train"]
    if group is None:
        found = suggestion([p.name for p in train], [p.label for p in train], above)
        if found:
            yield _suggested(found)
        return
    missing = [picture.name for picture in train if picture.group is None]
    if missing:
        what = told_of_gaps("train", group, missing, len(train))
        yield Finding("without_group", "error" if needs_all else "warning", what, [[name] for name in missing])
    splits: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        if picture.group is not None:
            splits[picture.group].add(picture.split)
    both = [name for name, those in splits.items() if len(those) > 1]
    if both:
        are = number_of(len(both), "group is", "groups are")
        what = (
            f"{are} in more than one split ({listed(both, most=_MOST)}): what is measured there says little of new ones"
        )
        files = [[p.name for p in pictures if p.group == name] for name in both]
        yield Finding("groups_across_splits", "warning", what, files)


def alike_across_groups(alike: Sequence[Sequence[Picture]]) -> Iterator[Finding]:
    """Find pictures that look alike and are of different groups.

    Args:
        alike: Pictures that look alike, together.
    """
    across = [group for group in alike if len({picture.group for picture in group if picture.group is not None}) > 1]
    if across:
        what = (
            f"{number_of(len(across), 'set')} of pictures that look alike are of different groups: they may be of one"
        )
        yield Finding("near_duplicates_across_groups", "warning", what, names_of(across))


def suggestion(names: Sequence[str], labels: Sequence[str], above: int) -> Suggestion | None:
    """Return the groups that names suggest: folders below the class folders, words, or stems with running numbers.

    Args:
        names: N paths relative to the root.
        labels: N classes; a name that only says the class is no group.
        above: How many folders lie above those of a class's own.
    """
    folders = _groups(1, names, labels, above)
    if folders:
        return Suggestion(1, folders, f"pictures lie in several folders{' below the class folders' * (above > 0)}")
    words = _groups(_WORD, names, labels, above)
    if words:
        return Suggestion(_WORD, words, "names say what each picture is of")
    stems, parts = (_groups(option, names, labels, above) for option in (_STEM, _PART))
    if parts and _FEWER * len(parts) < len(stems):
        return Suggestion(_PART, parts, "names have a part in common before a running number")
    return Suggestion(_STEM, stems, "names are alike but for a running number") if len(stems) > 2 else None


def _groups(option: int | str, names: Sequence[str], labels: Sequence[str], above: int) -> list[str]:
    """Return the groups that an option gives, the largest first; none where they are none to speak of."""
    found = groups_of_paths(option, names, above) or []
    counts = Counter(name for name in found if name is not None)
    matched, together = counts.total(), sum(count for count in counts.values() if count > 1)
    if matched < _MATCHED * len(names) or together < _TOGETHER * matched or len(counts) < 2:
        return []
    if max(counts.values()) > _LARGEST * matched or max(counts.values()) < 2:
        return []
    by_class: dict[str, set[str]] = defaultdict(set)
    for name, label in zip(found, labels, strict=True):
        if name is not None:
            by_class[label].add(name)
    divided = sum(len(those) > 1 for those in by_class.values())
    return [name for name, _ in counts.most_common()] if 2 * divided > len(by_class) else []


def _suggested(found: Suggestion) -> Finding:
    option = str(found.option) if isinstance(found.option, int) else f"'{found.option}'"
    what = (
        f"{found.why}, as in sequences of one site, patient or video: {number_of(len(found.names), 'group')} "
        f"({listed(found.names, most=_MOST)}); divided by chance they flatter, keep them together: --{OPTION} {option}"
    )
    return Finding("sequences", "warning", what)
