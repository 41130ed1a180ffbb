"""Learn what is black and white from a sample of the training pictures, where nobody inspects all of them first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from tlearn.base.errors import TlearnError
from tlearn.base.progress import Progress
from tlearn.data.decoding.intensity import quantiles_of
from tlearn.data.decoding.reading_options import Range, Reading
from tlearn.data.decoding.samples import Samples
from tlearn.data.files.inspection import Inspection
from tlearn.data.files.sample_types import kept_ranges, ranges_of_training, told_of_range
from tlearn.data.images.on_disk import in_threads

log = logging.getLogger(__name__)

MOST_SAMPLED = 256  # enough for 0.1 percentiles that move by less than a grey level from sample to sample


class SampledPictures(Protocol):
    """Pictures whose numbers can be looked at before they become uint8."""

    def samples(self, position: int, reading: Reading) -> Samples | None:
        """Return the numbers of a picture; ``None`` for one of 8 bits, which is not decoded."""


def sampled_ranges(
    pictures: SampledPictures, rows: Sequence[int], reading: Reading, probed: int = MOST_SAMPLED
) -> dict[str, Range]:
    """Return the ranges that ``intensity auto`` learns from up to 256 pictures, evenly spread; say what they are.

    Args:
        pictures: The source.
        rows: Positions of the training pictures in it.
        reading: What is known without looking.
        probed: So many are looked at first, evenly spread too: if all are of 8 bits, so is the set.

    Raises:
        TlearnError: None of the pictures can be read, or all of a type hold one number alone.
    """
    facts = _facts(pictures, rows, reading, probed)
    if any(each.sample_type != "uint8" for each in facts) and probed < MOST_SAMPLED:
        facts = _facts(pictures, rows, reading, MOST_SAMPLED)
    found = ranges_of_training(facts)
    for kind, each in found.items():
        log.info("train: of %d looked at, %s", len(facts), told_of_range(kind, each))
    return kept_ranges(found, facts)


def _facts(pictures: SampledPictures, rows: Sequence[int], reading: Reading, most: int) -> list[Inspection]:
    count = min(len(rows), most)
    chosen = [rows[number * len(rows) // count] for number in range(count)]
    with Progress("looking for black and white", count, "pictures") as progress:
        found = in_threads(lambda row: _fact(pictures, row, reading, progress), chosen)
    facts = [each for each in found if isinstance(each, Inspection)]
    faults = [each for each in found if isinstance(each, TlearnError)]
    if faults and not facts:
        raise faults[0]
    return facts  # one that cannot be read is named where it is served


def _fact(pictures: SampledPictures, row: int, reading: Reading, progress: Progress) -> Inspection | TlearnError:
    try:
        samples = pictures.samples(row, reading)
    except TlearnError as fault:
        return fault
    progress.advance()
    quantiles = None if samples is None else quantiles_of(samples)
    kind = "uint8" if samples is None else samples.sample_type
    return Inspection(sample_type=kind, quantiles=b"" if quantiles is None else quantiles.tobytes())
