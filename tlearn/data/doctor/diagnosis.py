"""Findings about a set of pictures, from the inspections of its files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Literal

import numpy as np

from tlearn.base.types import Task
from tlearn.data.decoding.samples import lacks_extra
from tlearn.data.doctor.colour import colour_findings
from tlearn.data.doctor.encoding import encoding_tells
from tlearn.data.doctor.groups import alike_across_groups
from tlearn.data.doctor.numbers import number_findings
from tlearn.data.files.duplicates import WAYS, near_alike, same_content, turned_alike
from tlearn.data.files.findings import Finding, Picture, names_of
from tlearn.data.files.inspection import Inspection
from tlearn.data.files.listing import number_of
from tlearn.data.files.reading import Framing

_OPTION = "data.init_args."  # in a reason that names a remedy
_LIMIT = "data.init_args.max_megapixels"
_KEPT_FIRST = {"test": 0, "val": 1, "train": 2}  # of equal pictures the one outside of training stays
_FEW = 10  # training images of a class
_UNEVEN = 10.0  # largest class over smallest
_RARE = 0.02  # share of the files that makes a format a rare one
_ENOUGH = 50  # files that are needed to judge that
_TURNED_LEVELS = 3.0  # standard deviation of a thumbnail; below it a picture looks the same when turned
_FLAT_LEVELS = 1.0  # standard deviation of a thumbnail


def diagnose(
    pictures: Sequence[Picture], class_names: Sequence[str], framing: Framing, is_pretrained: bool, task: Task
) -> list[Finding]:
    """Find everything that harms training or evaluation.

    Args:
        pictures: Those of all splits.
        class_names: The classes; empty where an image has no single class.
        framing: What the network sees.
        is_pretrained: The network has learned from photographs, at about 224 px.
        task: Two values of one picture are two measurements, two classes a contradiction.
    """
    good = [picture for picture in pictures if not picture.facts.error]
    whole = [picture for picture in good if not picture.is_part]
    return [
        *_unreadable(pictures),
        *_same(good, task),
        *_near_copies(whole),
        *_classes(good, class_names),
        *_small(good, framing.size_px, is_pretrained),
        *_odd(good),
        *colour_findings(good),
        *number_findings(good, framing.reading),
        *(encoding_tells(good) if class_names else []),
    ]


def summary_of(pictures: Sequence[Picture]) -> dict[str, dict[str, object]]:
    """Count each split's images by class, format and mode, and measure short sides in pixels."""
    splits: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        splits[picture.split].append(picture)
    summary: dict[str, dict[str, object]] = {}
    for split, members in splits.items():
        sides = [min(p.facts.width, p.facts.height) for p in members if not p.facts.error]
        summary[split] = {
            "images": len(members),
            **({"groups": len(groups)} if (groups := {p.group for p in members if p.group is not None}) else {}),
            "classes": dict(Counter(name for p in members for name in ([p.label] if p.labels is None else p.labels))),
            "short_side_px": {"min": min(sides), "median": median(sides), "max": max(sides)} if sides else None,
            "formats": dict(Counter(p.facts.format for p in members if not p.facts.error)),
            "modes": dict(Counter(p.facts.mode for p in members if not p.facts.error)),
        }
    return summary


def _unreadable(pictures: Sequence[Picture]) -> Iterator[Finding]:
    faults = {p.name: p.facts.error for p in pictures if p.facts.error}
    # Nothing is wrong with these files. A picture above the limit may be a decompression bomb, so it is broken.
    readable = {name: why for name, why in faults.items() if (_OPTION in why and _LIMIT not in why) or lacks_extra(why)}
    bad = {name: why for name, why in faults.items() if name not in readable}
    if readable:
        counts = Counter(readable.values()).most_common()
        reasons = counts[0][0] if len(counts) == 1 else "; ".join(f"{count}: {reason}" for reason, count in counts)
        what = f"{number_of(len(readable), 'file')} not read as things are: {reasons}"
        yield Finding("unread_so", "error", what, [[name] for name in readable])
    if bad:
        reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(bad.values()).most_common())
        what = f"{number_of(len(bad), 'file')} without a picture: {reasons}"
        yield Finding("unreadable", "error", what, [[name] for name in bad], bad)


def _same(pictures: Sequence[Picture], task: Task) -> Iterator[Finding]:
    groups = [[pictures[n] for n in group] for group in same_content([p.facts.digest for p in pictures])]
    contrary = [group for group in groups if _is_contrary(group)]
    decided = [group for group in contrary if all(p.is_decided for p in group)]
    contrary = [group for group in contrary if group not in decided]
    rest = [group for group in groups if not _is_contrary(group)]
    across = [group for group in rest if len({p.split for p in group}) > 1]
    within = [group for group in rest if len({p.split for p in group}) == 1]
    if contrary and task == "regression":
        what = f"{number_of(len(contrary), 'picture')} with different values: repeated measurements, or a slip"
        yield Finding("different_values", "note", what, names_of(contrary))
    elif contrary:
        reasons = {p.name: f"the same picture is labelled {_labels(group)}" for group in contrary for p in group}
        what = f"{number_of(len(contrary), 'picture')} under two labels: nobody can learn both"
        yield Finding("contrary_labels", "warning", what, names_of(contrary), reasons)
    if decided:
        what = f"{number_of(len(decided), 'picture')} under two labels, as somebody has decided: nobody can learn both"
        yield Finding("contrary_labels_decided", "note", what, names_of(decided))
    if across:
        what = f"{number_of(len(across), 'picture')} in more than one split: what is measured on them flatters"
        yield Finding("duplicates_across_splits", "warning", what, names_of(across), _copies(across))
    if within:
        what = f"{number_of(len(within), 'picture')} more than once in a split: they count double"
        yield Finding("duplicates", "note", what, names_of(within), _copies(within))


def _near_copies(pictures: Sequence[Picture]) -> Iterator[Finding]:
    """Find pictures that are nearly the same."""
    once = list({p.facts.digest: p for p in reversed(pictures)}.values())
    if len(once) < 2:
        return
    hashes = np.array([p.facts.perceptual_hash for p in once], dtype=np.uint64)
    thumbs = np.stack([np.frombuffer(p.facts.thumb, dtype=np.uint8) for p in once])
    groups = near_alike(hashes, thumbs)
    alike = [[once[n] for n in group] for group in groups]
    yield from _near_findings(alike, "near_duplicates", "that look alike")
    yield from alike_across_groups(alike)
    yield from _turned(once, hashes, thumbs, groups)


def _turned(
    once: Sequence[Picture], hashes: np.ndarray, thumbs: np.ndarray, upright: Sequence[Sequence[int]]
) -> Iterator[Finding]:
    shown = thumbs.reshape(len(once), 8, 8, 3)
    kept = np.flatnonzero(shown.std(axis=(1, 2)).max(axis=1) >= _TURNED_LEVELS)
    if len(kept) < 2:
        return
    place = {int(number): position for position, number in enumerate(kept)}
    turned = np.stack([np.frombuffer(p.facts.turned_hashes, dtype=">u8") for p in once]).astype(np.uint64)
    same = [[place[n] for n in group if n in place] for group in upright]
    found = turned_alike(hashes[kept], turned[kept], shown[kept], same)
    groups = [[once[kept[n]] for n in members] for members, _ in found]
    counts = Counter(way for _, ways in found for way in ways)
    ways = ", ".join(f"{way} {counts[way]}" for way in WAYS if counts[way])
    yield from _near_findings(groups, "turned_duplicates", f"that look alike once one is turned or mirrored ({ways})")


def _near_findings(groups: Sequence[Sequence[Picture]], kind: str, how: str) -> Iterator[Finding]:
    across = [group for group in groups if len({p.split for p in group}) > 1]
    within = [group for group in groups if len({p.split for p in group}) == 1]
    if across:
        what = f"{number_of(len(across), 'group')} of pictures {how}, spread over splits: look at them"
        yield Finding(f"{kind}_across_splits", "warning", what, names_of(across))
    if within:
        how = how if "(" in how else f"in one split {how}"
        what = f"{number_of(len(within), 'group')} of pictures {how}: look at them"
        yield Finding(kind, "note", what, names_of(within))


def _is_contrary(group: Sequence[Picture]) -> bool:
    """Tell whether labels contradict each other; unknown ones do not."""
    if not any(p.labels for p in group):
        return len({p.label for p in group if p.label}) > 1
    held = {name for p in group for name in p.labels or ()}
    return any(held - set(p.labels or ()) - set(p.unknown) for p in group)


def _classes(pictures: Sequence[Picture], class_names: Sequence[str]) -> Iterator[Finding]:
    if not class_names:
        return
    for split in dict.fromkeys(p.split for p in pictures):
        counts = Counter(p.label for p in pictures if p.split == split)
        absent = [name for name in class_names if not counts[name]]
        if absent:
            severity: Literal["error", "warning"] = "error" if split == "train" else "warning"
            yield Finding("absent_classes", severity, f"{split} has no pictures of: {', '.join(absent)}")
        if split != "train":
            continue
        few = [f"{name} {counts[name]}" for name in class_names if 0 < counts[name] < _FEW]
        if few:
            yield Finding("tiny_classes", "warning", f"fewer than {_FEW} pictures to train on: {', '.join(few)}")
        (most, high), (least, low) = counts.most_common(1)[0], counts.most_common()[-1]
        if high >= _UNEVEN * low:
            what = f"{most} has {high} pictures, {least} {low}: accuracy says little of {least}; look at acc_macro, "
            yield Finding("imbalance", "warning", f"{what}model.class_weights: balanced evens them out")


def _small(pictures: Sequence[Picture], size_px: int, is_pretrained: bool) -> Iterator[Finding]:
    small = [p for p in pictures if min(p.facts.width, p.facts.height) < size_px / 2]
    if small:
        side = median(min(p.facts.width, p.facts.height) for p in small)
        what = f"{len(small)} of {len(pictures)} pictures have less than half of the {size_px} px that the network sees"
        advice = "; enlarged, 128 is often enough (model.image_size)" if is_pretrained and size_px > 128 else ""
        yield Finding("small", "note", f"{what} (median short side {side:g} px){advice}", [[p.name] for p in small])
    if is_pretrained and size_px < 64:
        what = f"{size_px} px into a network pretrained on photographs costs much accuracy; try model.image_size 128"
        yield Finding("small_input", "warning", what)


def _odd(pictures: Sequence[Picture]) -> Iterator[Finding]:
    formats = Counter(p.facts.format for p in pictures)
    rare = {name for name, count in formats.items() if len(pictures) >= _ENOUGH and count < _RARE * len(pictures)}
    odd = [p for p in pictures if p.facts.format in rare]
    if odd:
        usual, kinds = formats.most_common(1)[0][0], ", ".join(sorted(rare))
        verb, them = ("is", "it") if len(odd) == 1 else ("are", "them")
        what = f"{len(odd)} of {len(pictures)} files {verb} {kinds}, most others are {usual}; look at {them}"
        yield Finding("odd_format", "note", what, [[p.name] for p in odd])
    flat = [p for p in pictures if not p.is_part and _spread(p.facts) < _FLAT_LEVELS]
    if flat:
        yield Finding("flat", "note", f"{number_of(len(flat), 'picture')} of a single colour", [[p.name] for p in flat])


def _spread(facts: Inspection) -> float:
    return float(np.frombuffer(facts.thumb, dtype=np.uint8).reshape(-1, 3).std(axis=0).max())


def _copies(groups: Sequence[Sequence[Picture]]) -> dict[str, str]:
    """Return which copies to leave out: all but one, which is of test or validation if any is."""
    excluded: dict[str, str] = {}
    for group in groups:
        kept, *others = sorted(group, key=lambda picture: _KEPT_FIRST[picture.split])
        # A table may list a file twice; excluding its name would lose both.
        excluded |= {p.name: f"the same picture as {kept.name}" for p in others if p.name != kept.name}
    return excluded


def _labels(group: Sequence[Picture]) -> str:
    return " and ".join(dict.fromkeys(picture.label for picture in group))
