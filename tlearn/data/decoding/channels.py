"""Which of a file's channels the network gets. Letters: H and W pixels, C channels of the file, N of the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.intensity import limits_for, quantised
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError

_LOOKS_LIKE_ALPHA = 0.5  # least share of pixels that are wholly opaque or wholly transparent


def channels_of(samples: Samples, reading: Reading, what: str) -> NDArray[np.uint8]:
    """Choose channels and turn their numbers into uint8, (H, W, N); transparent pixels are laid over white.

    Args:
        samples: The picture.
        reading: Which channels, and what range.
        what: What the file holds, for messages.

    Raises:
        UnreadableImageError: The file has other channels than the network takes, and nobody has said which to take.
    """
    chosen, alpha = _chosen(samples, reading, what)
    pixels = quantised(chosen.values, limits_for(chosen, reading), chosen.is_whole)
    if chosen.white_is_zero:
        pixels = 255 - pixels
    there = chosen.measured
    if there is not None:
        pixels = np.where(there, pixels, np.uint8(0))
    if alpha is not None:
        opaque = quantised(alpha, samples.type_range or (0, 1), samples.is_whole)
        pixels = _over_white(pixels, opaque)
    return pixels if pixels.shape[2] == reading.num_channels else pixels.repeat(reading.num_channels, axis=2)


def chosen_samples(samples: Samples, reading: Reading, what: str) -> Samples:
    """Return the channels that the network gets, as numbers, without transparency.

    Raises:
        UnreadableImageError: The file has other channels than the network takes, and nobody has said which to take.
    """
    return _chosen(samples, reading, what)[0]


def _chosen(samples: Samples, reading: Reading, what: str) -> tuple[Samples, NDArray[np.generic] | None]:
    """Return the channels that the network gets, and the transparency that they have."""
    count, wanted, what = samples.values.shape[2], reading.num_channels, what or "a picture"
    if reading.channels is not None:
        places = [_place_of(band, samples, what) for band in reading.channels]
        return _part(samples, places), None
    if samples.alpha is not None and is_transparency(samples):
        colours = [place for place in range(count) if place != samples.alpha]
        if len(colours) == wanted or (len(colours) == 1 and wanted == 3):
            return _part(samples, colours), samples.values[:, :, [samples.alpha]]
    if count == wanted or (count == 1 and wanted == 3):
        return _part(samples, range(count)), None
    if wanted == 3:
        bands: list[Any] = list(samples.names[:3]) or ([3, 2, 1] if count >= 3 else [1])
        bands = bands[:1] if count < wanted else bands
        way = f"choose what becomes red, green and blue: data.init_args.channels [{', '.join(map(str, bands))}]"
        raise UnreadableImageError(f"{what}: {way}, or train on all: model.in_channels {count}")
    held = f"{count} channel{'s' * (count > 1)}"
    way = f"name {wanted} of them: data.init_args.channels, or set" if count > wanted else "set"
    raise UnreadableImageError(f"{what}: {held}, the network takes {wanted}; {way} model.in_channels {count}")


def _place_of(band: int | str, samples: Samples, what: str) -> int:
    count = samples.values.shape[2]
    if isinstance(band, int):
        if band <= count:
            return band - 1
        raise UnreadableImageError(f"{what}: no band {band} of data.init_args.channels, it has {count}")
    if band in samples.names:
        return samples.names.index(band)
    names = ", ".join(samples.names) or "no names, so give numbers from 1"
    raise UnreadableImageError(f"{what}: no band {band} of data.init_args.channels; it has {names}")


def _part(samples: Samples, places: list[int] | range) -> Samples:
    names = tuple(samples.names[place] for place in places) if samples.names else ()
    values = samples.values if list(places) == list(range(samples.values.shape[2])) else samples.values[:, :, places]
    return replace(samples, values=values, names=names, alpha=None)


def is_transparency(samples: Samples) -> bool:
    """Tell whether a channel that is called transparency looks like it: some tools call any fourth band so."""
    if samples.is_alpha_sure:
        return True
    values, (low, high) = samples.values[:, :, samples.alpha], samples.type_range or (0, 1)
    return float(((values == low) | (values == high)).mean()) >= _LOOKS_LIKE_ALPHA


def _over_white(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay pixels (H, W, N) over white by their opacity (H, W, 1), rounded."""
    weighted = pixels.astype(np.uint16) * alpha + (255 - alpha).astype(np.uint16) * 255 + 127
    return (weighted // 255).astype(np.uint8)
