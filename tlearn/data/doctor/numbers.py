"""What the doctor says of files of more than 8 bits, of several planes, and of unlike types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.intensity import (
    EIGHT_BITS,
    LearnedRange,
    histogram_of,
    learned_ranges,
    share_outside,
    shown,
    span,
)
from tlearn.data.decoding.reading_options import Range, Reading
from tlearn.data.decoding.samples import type_range
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.inspection import Inspection, quantiles_by_type
from tlearn.data.files.listing import number_of
from tlearn.data.files.sample_types import (
    ranges_of_training,
    told_of_mixture,
    told_of_planes,
    told_of_strangers,
    types_of,
)

_BINS = 40
_HALF = 0.5  # of the type's range; with less, intensity `type` darkens
_MUCH = 0.02  # of the numbers, that a range clips
_BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_ASCII = ".:-=+*#@"


def numbers_of(pictures: Sequence[Picture], reading: Reading) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure the numbers of files of more than 8 bits: split to sample type to what they hold, in plain values.

    Args:
        pictures: Those of all splits.
        reading: Says what becomes black and white; ``auto`` is worked out from the training pictures.
    """
    learned = learned_ranges(quantiles_by_type(_facts(pictures, "train")))
    splits = dict.fromkeys(picture.split for picture in pictures)
    found = {split: _numbers_of_split(_facts(pictures, split), learned, reading) for split in splits}
    return {split: kinds for split, kinds in found.items() if kinds}


def _facts(pictures: Sequence[Picture], split: str) -> list[Inspection]:
    return [each.facts for each in pictures if each.split == split and not each.facts.error]


def _numbers_of_split(
    facts: Sequence[Inspection], learned: Mapping[str, LearnedRange], reading: Reading
) -> dict[str, dict[str, Any]]:
    rows, kinds = quantiles_by_type(facts), {}
    for kind, held in learned_ranges(rows).items():
        auto = learned[kind].limits if kind in learned else type_range(kind)
        used = _used(kind, auto, reading)
        part = held.extremes if auto is None or auto[0] == auto[1] else auto
        kinds[kind] = {
            "files": held.files,
            "lowest": held.extremes[0],
            "highest": held.extremes[1],
            "percentiles": {"0.1": held.percentiles[0], "99.9": held.percentiles[1]},
            "bits_used": _bits_used(kind, held),
            "auto": None if auto is None else [*auto],
            "black_to_white": None if used is None else [*used],
            "share_outside": None if used is None else share_outside(rows[kind], used),
            "unmeasured": float(np.mean([each.unmeasured for each in facts if each.sample_type == kind])),
            "histogram": {
                "from": part[0],
                "to": part[1],
                "shares": histogram_of(rows[kind], part, _BINS).tolist() if part[0] < part[1] else [],
            },
        }
    return kinds


def _used(kind: str, auto: Range | None, reading: Reading) -> Range | None:
    """Return what becomes black and white; ``None`` where each picture has its own."""
    if isinstance(reading.intensity, tuple):
        return reading.intensity
    return {"auto": auto, "type": type_range(kind)}.get(reading.intensity)


def _bits_used(kind: str, held: LearnedRange) -> int | None:
    """Return the fewest bits that hold all numbers; ``None`` for floats and numbers below 0."""
    return None if type_range(kind) is None or held.extremes[0] < 0 else int(held.extremes[1]).bit_length()


def lines_of(numbers: Mapping[str, Mapping[str, Mapping[str, Any]]], reading: Reading, encoding: str) -> list[str]:
    """Write `numbers_of` for a terminal of 80 columns.

    Args:
        numbers: Split to sample type to what files of it hold.
        reading: Says what becomes black and white.
        encoding: Of the terminal; one that has no block characters gets letters of ASCII.
    """
    lines = []
    for split, kinds in numbers.items():
        for kind, held in kinds.items():
            lines += [f"{split}: {number_of(held['files'], 'file')} of {kind}", *_lines(kind, held, reading, encoding)]
    return lines


def _lines(kind: str, held: Mapping[str, Any], reading: Reading, encoding: str) -> Iterator[str]:
    bits = "" if held["bits_used"] is None else f", {held['bits_used']} of {kind.lstrip('uintflo')} bits"
    percentiles, histogram = held["percentiles"], held["histogram"]
    yield f"  numbers        {span((held['lowest'], held['highest']))}{bits}"
    yield f"  99.8 % within  {span((percentiles['0.1'], percentiles['99.9']))}"
    if held["unmeasured"]:
        yield f"  not measured   {100 * held['unmeasured']:.2f} % (NaN or no data), black"
    if histogram["shares"]:
        drawn = bars(histogram["shares"], encoding)
        yield f"  histogram      {shown(histogram['from'])} [{drawn}] {shown(histogram['to'])}"
    if held["black_to_white"] is None:
        yield f"  reading        each picture has its own black and white (intensity {reading.intensity})"
    else:
        low, high = map(shown, held["black_to_white"])
        named = "as given" if isinstance(reading.intensity, tuple) else reading.intensity
        share = f"{100 * held['share_outside']:.2f} %"
        yield f"  reading        {low} black, {high} white (intensity {named}); {share} lie outside"
    if reading.intensity != "auto" and held["auto"]:
        yield f"                 auto would take {span(held['auto'])}"


def bars(shares: Sequence[float], encoding: str) -> str:
    """Draw a histogram in one line: a character for each bin, the highest for the largest share, a space for nothing.

    Args:
        shares: Of each bin.
        encoding: Where it is shown.
    """
    marks = _BLOCKS
    try:
        marks.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        marks = _ASCII
    most, least = max(shares) or 1.0, 1e-4
    levels = [min(len(marks) - 1, int(share / most * len(marks))) for share in shares]
    return "".join(marks[level] if share >= least else " " for share, level in zip(shares, levels, strict=True))


def number_findings(pictures: Sequence[Picture], reading: Reading) -> Iterator[Finding]:
    """Find what makes files of more than 8 bits, of several planes or of unlike types be read in a way not meant.

    Args:
        pictures: The readable ones of all splits.
        reading: How they are read.
    """
    train = _facts(pictures, "train")
    if reading.intensity == "auto":
        try:
            ranges_of_training(train)
        except TlearnError as error:
            yield Finding("one_number", "error", str(error))
    rows, trained = quantiles_by_type(train), types_of(train)
    learned = learned_ranges(rows)
    yield from _darkened(learned, reading)
    yield from _clipped(rows, reading)
    known = Reading(reading.intensity, {kind: each.limits for kind, each in learned.items()})
    for split in dict.fromkeys(picture.split for picture in pictures):
        facts = _facts(pictures, split)
        stacks, mixture = told_of_planes(split, facts, reading), told_of_mixture(split, types_of(facts))
        if stacks:
            names = [[p.name] for p in pictures if p.split == split and p.facts.planes > 1]
            yield Finding("planes", "warning" if reading.page == "first" else "note", stacks, names)
        if mixture:
            yield Finding("mixed_types", "warning", mixture, _rarest(pictures, split, types_of(facts)))
        strange = None if split == "train" else told_of_strangers(split, types_of(facts), trained, known)
        if strange:
            yield Finding("other_types", "warning", strange)
    empty = [p for p in pictures if p.facts.unmeasured]
    if empty:
        share = 100 * float(np.mean([p.facts.unmeasured for p in empty]))
        what = f"{number_of(len(empty), 'file')} with NaN or no-data values, {share:.1f} % of them: left out, and black"
        yield Finding("unmeasured", "note", what, [[p.name] for p in empty])


def _rarest(pictures: Sequence[Picture], split: str, types: Counter[str]) -> list[list[str]]:
    rare = min(types, key=lambda kind: types[kind])
    return [[p.name] for p in pictures if p.split == split and p.facts.sample_type == rare]


def _darkened(learned: Mapping[str, LearnedRange], reading: Reading) -> Iterator[Finding]:
    """Find types of which files use less than half, where all that the type holds is spread from black to white."""
    if reading.intensity != "type":
        return
    for kind, held in learned.items():
        whole = type_range(kind)
        if whole is not None and held.percentiles[1] - held.percentiles[0] < _HALF * (whole[1] - whole[0]):
            what = (
                f"{number_of(held.files, 'file')} of {kind} hold {span(held.percentiles)}: intensity type spreads "
                f"{span(whole)}, so few grey levels are left; auto would take {span(held.limits)}"
            )
            yield Finding("unused_range", "warning", what)


def _clipped(quantiles: Mapping[str, NDArray[np.float64]], reading: Reading) -> Iterator[Finding]:
    if not isinstance(reading.intensity, tuple):
        return
    for kind, rows in quantiles.items():
        share = share_outside(rows, reading.intensity)
        if kind not in EIGHT_BITS and share > _MUCH:
            whose = f"the numbers of {number_of(len(rows), f'{kind} file')}"
            what = f"intensity {span(reading.intensity)} clips {100 * share:.1f} % of {whose}"
            yield Finding("clipped", "warning", what)
