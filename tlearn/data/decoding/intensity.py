"""Which numbers become 0 and 255, and how: pure functions. N files, Q quantiles of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.reading_options import Range, Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError, type_range

# Dense at both ends, where the range is decided. A hot pixel of a camera is less than 0.01 % of a picture.
_ENDS = (0.0, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05)
SHARES = np.array([*_ENDS, *np.linspace(0.1, 0.9, 9), *(1 - each for each in reversed(_ENDS))])
LOW_SHARE, HIGH_SHARE = 0.001, 0.999  # robust against hot and dead pixels
_MOST_VALUES = 2**20  # of a picture, evenly spread, that its quantiles are taken from
_LEAST_USE = 0.5  # of a range, for it to be kept


def quantised(values: NDArray[Any], limits: Range, is_whole: bool) -> NDArray[np.uint8]:
    """Turn numbers into uint8: a range of 256 or more whole numbers, or of floats, is cut into 256 equal steps.

    So 16 bits become their upper eight, and 8 bits stay as they are. A range of fewer whole numbers is spread from 0 to
    255. What lies outside becomes 0 or 255, and NaN 0.

    Args:
        values: Numbers of any type.
        limits: The lowest and the highest number of the range; they differ.
        is_whole: The numbers are whole.
    """
    low, high = limits
    if is_whole and (low, high) == (0, 255) and values.dtype == np.uint8:
        return values
    # float32 holds whole numbers up to 2 ** 24 exactly, and takes half the memory.
    exact = np.float32 if values.dtype.itemsize <= 2 else np.float64
    few = is_whole and high - low < 255
    factor = 255 / (high - low) if few else 256 / (high - low + is_whole)
    scaled = np.subtract(values, low, dtype=exact)
    np.multiply(scaled, exact(factor), out=scaled)
    if few:
        np.rint(scaled, out=scaled)
    np.nan_to_num(scaled, copy=False, nan=0.0)
    pixels: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return pixels


def limits_for(samples: Samples, reading: Reading) -> Range:
    """Return the range of a picture's numbers that becomes 0 to 255.

    Raises:
        UnreadableImageError: There is none for numbers of this type.
    """
    kind, intensity, ranges = samples.sample_type, reading.intensity, reading.ranges
    if isinstance(intensity, tuple):
        return intensity
    if intensity == "percentile" or (intensity == "auto" and ranges is None and kind not in EIGHT_BITS):
        return _own_range(samples, intensity == "percentile")
    if intensity == "auto" and ranges and kind in ranges:
        return ranges[kind]
    if samples.type_range is None:
        told = f"the training pictures are {', '.join(ranges) or 'of 8 bits'}; " if ranges is not None else ""
        raise UnreadableImageError(
            f"{kind} has no range of its own, which data.init_args.intensity {intensity} needs; {told}give [low, high]"
        )
    return samples.type_range


EIGHT_BITS = ("uint8", "uint4", "uint2", "uint1")


def _own_range(samples: Samples, is_plain: bool) -> Range:
    found = quantiles_of(samples)
    if found is None or found[0] == found[-1]:
        return samples.type_range or (0.0, 1.0)  # blank: nothing that a range could show
    low, high = pooled_limits(found[None])
    if not is_plain:
        return settled(low, high, samples.sample_type)
    return (low, high) if low < high else (float(found[0]), float(found[-1]))


def quantiles_of(samples: Samples) -> NDArray[np.float64] | None:
    """Return the quantiles of a picture's numbers at `SHARES`, (Q,), transparency aside; ``None`` if it has none."""
    values, there = samples.values, samples.measured
    if samples.alpha is not None:
        values = np.delete(values, samples.alpha, axis=2)
        there = None if there is None else np.delete(there, samples.alpha, axis=2)
    step = max(1, int(np.sqrt(values.size / _MOST_VALUES)))
    flat = values[::step, ::step].reshape(-1) if there is None else values[::step, ::step][there[::step, ::step]]
    if not flat.size:
        return None
    found: NDArray[np.float64] = np.quantile(flat.astype(np.float64), SHARES)
    return found


def pooled_limits(quantiles: NDArray[np.float64]) -> Range:
    """Return the 0.1 and 99.9 percentiles of many pictures, (N, Q) quantiles, each of which counts alike."""
    edges = np.concatenate([[0.0], (SHARES[1:] + SHARES[:-1]) / 2, [1.0]])
    weights = np.tile(np.diff(edges), len(quantiles)) / len(quantiles)
    flat = quantiles.reshape(-1)
    order = flat.argsort(kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    low, high = np.interp([LOW_SHARE, HIGH_SHARE], reached, flat[order])
    return float(low), float(high)


def settled(low: float, high: float, sample_type: str) -> Range:
    """Return the range for numbers that lie between these percentiles.

    It is the range of the fewest bits that hold them (0 to 1 for floats), or of the whole type, if they use at least
    half of it. So a camera of 12 bits has 0 to 4095, and pictures differ in brightness as they did. Else it lies
    between the percentiles.
    """
    whole = type_range(sample_type)
    if low >= 0:
        natural = 1.0 if whole is None else float(2 ** max(1, int(high).bit_length()) - 1)
        if high <= natural and high - low >= _LEAST_USE * natural:
            return 0, natural if whole is None else int(natural)
    elif whole is not None and high - low >= _LEAST_USE * (whole[1] - whole[0]):
        return whole
    return (low, high) if whole is None else (int(np.floor(low)), int(np.ceil(high)))


class LearnedRange(NamedTuple):
    """What the files of one sample type hold, and the range that ``auto`` takes for them.

    Attributes:
        files: How many files were measured.
        percentiles: The 0.1 and 99.9 percentiles of all of them.
        extremes: The lowest and the highest number.
        limits: What becomes black and white. The two are equal where all files hold one number alone.
    """

    files: int
    percentiles: Range
    extremes: Range
    limits: Range


def learned_ranges(quantiles: Mapping[str, NDArray[np.float64]]) -> dict[str, LearnedRange]:
    """Return the range of each sample type from the quantiles, (N, Q), of its files; of 8 bits and fewer none."""
    return {kind: _learned(each, kind) for kind, each in sorted(quantiles.items()) if kind not in EIGHT_BITS}


def _learned(quantiles: NDArray[np.float64], kind: str) -> LearnedRange:
    whole = type_range(kind) is not None
    low, high = pooled_limits(quantiles)
    lowest, highest = float(quantiles[:, 0].min()), float(quantiles[:, -1].max())
    is_flat = high - low < 1 if whole else low == high  # few bright spots on black, which the percentiles do not see
    limits = settled(lowest, highest, kind) if is_flat else settled(low, high, kind)
    percentiles = (int(np.floor(low)), int(np.ceil(high))) if whole else (low, high)
    extremes = (int(lowest), int(highest)) if whole else (lowest, highest)
    return LearnedRange(len(quantiles), percentiles, extremes, limits)


def share_outside(quantiles: NDArray[np.float64], limits: Range) -> float:
    """Return the share of numbers below or above a range, from the quantiles (N, Q) of files that count alike."""
    below, above = np.nextafter(limits[0], -np.inf), np.nextafter(limits[1], np.inf)
    shares = [np.interp(below, row, SHARES) + 1 - np.interp(above, row, SHARES) for row in quantiles]
    return float(np.clip(np.mean(shares), 0, 1))


def histogram_of(quantiles: NDArray[np.float64], limits: Range, bins: int) -> NDArray[np.float64]:
    """Return the share of numbers in each of so many equal parts of a range, from quantiles (N, Q)."""
    edges = np.linspace(*limits, bins + 1)
    edges[-1] = np.nextafter(edges[-1], np.inf)
    below = np.nextafter(edges, -np.inf)
    reached = np.mean([np.interp(below, row, SHARES, left=0, right=1) for row in quantiles], axis=0)
    shares: NDArray[np.float64] = np.maximum(np.diff(reached), 0)
    return shares


_MOST_OUTSIDE = 0.25  # of a picture's numbers, that the learned range may lack
_MOST_COMPARED = 2**18  # of a picture, evenly spread
_EIGHT = "uint8"


def remark_on(samples: Samples | None, reading: Reading) -> str:
    """Say what sets a picture apart from the training pictures; empty if nothing does.

    There are two rules, where the range was learned: the numbers are of a type that no training picture has, or more
    than a quarter of them lie outside the range.

    Args:
        samples: The channels that the network gets, before they become uint8; ``None`` for a picture of 8 bits.
        reading: What was learned.
    """
    if reading.intensity != "auto" or reading.ranges is None:
        return ""
    kind = _EIGHT if samples is None else samples.sample_type
    if kind in reading.ranges:
        return "" if samples is None else _outside(samples, reading.ranges[kind])
    if type_range(kind) == type_range(_EIGHT) and not reading.ranges:
        return ""
    trained = ", ".join(reading.ranges) or _EIGHT
    used = type_range(kind)
    return f"{kind}, the training pictures are {trained}" + (f": {span(used)} is black to white" if used else "")


def _outside(samples: Samples, limits: Range) -> str:
    step = max(1, int(np.sqrt(samples.values.size / _MOST_COMPARED)))
    values, there = samples.values[::step, ::step], samples.measured
    if there is not None:
        values = values[there[::step, ::step]]
    if not values.size:
        return "nothing was measured in it (all is NaN or marked as no data)"
    share = float(((values < limits[0]) | (values > limits[1])).mean())
    if share <= _MOST_OUTSIDE:
        return ""
    return f"{100 * share:.0f} % of its numbers lie outside {span(limits)}, the range of the training pictures"


def shown(number: float) -> str:
    """Write a number of a picture for people: ``4,095``, ``0.02917``."""
    return f"{int(number):,}" if number == int(number) else f"{number:.4g}"


def span(limits: Range) -> str:
    """Write a range for people: ``0 to 4,095``."""
    return f"{shown(limits[0])} to {shown(limits[1])}"
