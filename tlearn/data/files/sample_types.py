"""What the numbers in a set's files are: types, learned ranges, planes and mixtures, each in one line."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.intensity import EIGHT_BITS, LearnedRange, learned_ranges, share_outside, shown, span
from tlearn.data.decoding.reading_options import Range, Reading
from tlearn.data.decoding.samples import type_range
from tlearn.data.files.inspection import Inspection, quantiles_by_type
from tlearn.data.files.listing import number_of

_OPTION = "data.init_args.intensity"
_FRAMES = ("GIF", "PNG", "WEBP", "AVIF", "FLI", "DCX")  # formats whose planes are frames of an animation
_MUCH = 0.25  # of the numbers, that a range leaves out
_FEWEST_OF_A_CLASS = 2  # pictures; a type that one picture alone has says nothing of its class


def types_of(facts: Iterable[Inspection]) -> Counter[str]:
    """Count the readable files of each sample type, the most frequent first."""
    counts = Counter(each.sample_type for each in facts if not each.error)
    return Counter(dict(counts.most_common()))


def ranges_of_training(facts: Iterable[Inspection]) -> dict[str, LearnedRange]:
    """Learn the range of each sample type of more than 8 bits from the training pictures.

    Raises:
        TlearnError: All files of a type hold one number alone, or nothing that was measured.
    """
    good = [each for each in facts if not each.error]
    found, counts = learned_ranges(quantiles_by_type(good)), types_of(good)
    for kind, count in counts.items():
        about = f"{number_of(count, 'training picture')} of {kind}"
        way = f"look at the files, or give the range: {_OPTION} [low, high]"
        if kind not in EIGHT_BITS and kind not in found:
            raise TlearnError(f"{about}: nothing is measured in them (all is NaN or marked as no data); {way}")
        if kind in found and found[kind].limits[0] == found[kind].limits[1]:
            raise TlearnError(f"{about}: all hold the number {shown(found[kind].limits[0])} alone; {way}")
    return found


def kept_ranges(found: Mapping[str, LearnedRange], facts: Iterable[Inspection]) -> dict[str, Range]:
    """Return the ranges that a run keeps: those that were learned, and in a mixed set that of 8 bits.

    It says that files of 8 bits are nothing new to the network.
    """
    ranges = {kind: each.limits for kind, each in found.items()}
    is_mixed = bool(ranges) and any(each.sample_type == "uint8" for each in facts)
    return ranges | ({"uint8": (0, 255)} if is_mixed else {})


def told_of_range(kind: str, found: LearnedRange) -> str:
    """Say what ``auto`` has learned of a sample type."""
    return (
        f"{number_of(found.files, 'file')} of {kind} {'hold' if found.files > 1 else 'holds'} {_held(kind, found)}: "
        f"{shown(found.limits[0])} becomes black and {shown(found.limits[1])} white, in all pictures ({_OPTION} auto)"
    )


def _held(kind: str, found: LearnedRange) -> str:
    is_narrow = found.percentiles[0] == found.percentiles[1]
    held = span(found.extremes if is_narrow else found.percentiles)
    low, high = found.limits
    if type_range(kind) is not None and low == 0 and high == 2 ** int(high).bit_length() - 1:
        return f"{number_of(int(high).bit_length(), 'bit')} ({held})"
    if found.limits == found.percentiles:
        return f"{held} (0.1 and 99.9 percentiles of the training pictures)"
    return f"{held} (the lowest and the highest number)" if is_narrow else held


def remarks_on(
    split: str, facts: Sequence[Inspection], labels: Sequence[str] | None, reading: Reading
) -> list[tuple[int, str]]:
    """Return what is to be said of a split's readable files before training, with the level of each remark.

    Args:
        split: Its name.
        facts: Of its N files.
        labels: N classes; ``None`` where a picture has no single class.
        reading: Which plane is read.
    """
    stacks, mixture = told_of_planes(split, facts, reading), told_of_mixture(split, types_of(facts))
    by_class = type_tells_class([each.sample_type for each in facts], labels) if labels and split == "train" else None
    level = logging.WARNING if reading.page == "first" else logging.INFO
    clipped = told_of_clipping(split, facts, reading) if split == "train" else None
    remarks = [(level, stacks), (logging.WARNING, by_class or mixture), (logging.WARNING, clipped)]
    return [(level, text) for level, text in remarks if text]


def told_of_clipping(split: str, facts: Collection[Inspection], reading: Reading) -> str | None:
    """Say that a range that was given leaves out much of what the files hold; ``None`` if it does not."""
    if not isinstance(reading.intensity, tuple):
        return None
    quantiles = quantiles_by_type(facts)
    shares = {kind: share_outside(each, reading.intensity) for kind, each in quantiles.items()}
    told = [f"{100 * share:.0f} % of the numbers of {kind}" for kind, share in shares.items() if share > _MUCH]
    if not told:
        return None
    return f"{split}: {', '.join(told)} lie outside {span(reading.intensity)}, and become black or white ({_OPTION})"


def told_of_planes(split: str, facts: Collection[Inspection], reading: Reading) -> str | None:
    """Say how many planes files have and which is read; ``None`` if each has one plane of one series."""
    stacks = [each for each in facts if not each.error and (each.planes > 1 or each.series > 1)]
    if not stacks:
        return None
    noun = "frames" if all(each.format in _FRAMES for each in stacks) else "planes"
    parts = [_count([each.planes for each in stacks], noun), _count([each.series for each in stacks], "series")]
    whose = number_of(len(stacks), "file") if len(stacks) == len(facts) else f"{len(stacks)} of {len(facts)} files"
    held = " in ".join(part for part in parts if part)
    each = f"{whose} {'have' if len(stacks) > 1 else 'has'} {held}{' each' if len(stacks) > 1 else ''}"
    option = "data.init_args.page"
    way = f"{option} middle, max, mean or a number" if reading.page == "first" else f"{option} {reading.page}"
    which = _PAGES.get(str(reading.page), f"number {reading.page} is")
    return f"{split}: {each}; {which} read{' of the first series' if parts[1] else ''}: {way}"


def _count(numbers: Collection[int], noun: str) -> str:
    least, most = min(numbers), max(numbers)
    if most == 1:
        return ""
    return f"{most} {noun}" if least == most else f"{least} to {most} {noun}"


_PAGES = {
    "first": "the first is",
    "middle": "the middle one is",
    "max": "the largest number at each place of all is",
    "mean": "the mean of all is",
}


def told_of_mixture(split: str, types: Mapping[str, int]) -> str | None:
    """Say that files of one split hold numbers of several types; ``None`` if they do not."""
    if len(types) < 2:
        return None
    counts = ", ".join(f"{kind} {count}" for kind, count in types.items())
    return f"{split}: files of unlike types ({counts}), each with its own black and white; save all alike"


def type_tells_class(kinds: Sequence[str], labels: Sequence[str]) -> str | None:
    """Say that the type of a file's numbers alone tells its class: a network would learn the camera.

    Args:
        kinds: Sample types of N training pictures.
        labels: Their N classes.

    Returns:
        A text; ``None`` if pictures of some class differ in type, all are of one, or a class has one picture alone.
    """
    pairs, counts = set(zip(kinds, labels, strict=True)), Counter(labels)
    if len(set(kinds)) < 2 or len(pairs) > len(counts) or min(counts.values()) < _FEWEST_OF_A_CLASS:
        return None
    names = {kind: sorted(label for each, label in pairs if each == kind) for kind in dict.fromkeys(kinds)}
    told = ", ".join(f"{kind}: {_some(labels)}" for kind, labels in names.items())
    return f"the files' type tells the class ({told}): the network may learn the camera, not the class; save all alike"


def _some(labels: Sequence[str], most: int = 5) -> str:
    return ", ".join(labels[:most]) + (f" and {len(labels) - most} more" if len(labels) > most else "")


def told_of_strangers(
    split: str, types: Mapping[str, int], trained: Collection[str] | None, reading: Reading
) -> str | None:
    """Say that a split holds numbers of types that no training picture has; ``None`` if it does not.

    Args:
        split: Its name.
        types: Its sample types, with the number of files.
        trained: Those of the training pictures, where they are known.
        reading: The ranges that were learned from them.
    """
    ranges = reading.ranges or {}
    known = set(trained) if trained is not None else {*ranges, *(() if ranges else EIGHT_BITS)}
    strange = {kind: count for kind, count in types.items() if kind not in known}
    if reading.intensity != "auto" or not strange:
        return None
    learned = ", ".join(f"{kind} {span(limits)}" for kind, limits in ranges.items()) or "those of 8 bits"
    parts = [f"{number_of(count, 'file')} of {kind}" for kind, count in strange.items()]
    used = [span(type_range(kind) or (0, 1)) for kind in strange]
    return (
        f"{split}: {', '.join(parts)}, which no training picture is: black to white is {', '.join(used)}; the training "
        f"pictures: {learned}"
    )


def without_range(facts: Mapping[int, Inspection], reading: Reading) -> dict[int, str]:
    """Return the readable files whose type has no range, and why: floats, where none was learned or given."""
    ranges = reading.ranges or {}
    if isinstance(reading.intensity, tuple) or reading.intensity == "percentile":
        return {}
    lacking = {
        number: each.sample_type
        for number, each in facts.items()
        if not each.error and type_range(each.sample_type) is None
    }
    if reading.intensity == "auto":
        lacking = {number: kind for number, kind in lacking.items() if kind not in ranges}
        why = "and no training picture is such a file"
    else:
        why = f"which {_OPTION} type needs"
    return {
        number: f"{kind} has no range of its own, {why}; give {_OPTION} [low, high]" for number, kind in lacking.items()
    }
