"""Read TIFF files with tifffile, which knows what Pillow does not. Letters: H and W pixels, C channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tlearn.base.errors import one_line
from tlearn.data.decoding.channels import is_transparency
from tlearn.data.decoding.pillow_file import check_size
from tlearn.data.decoding.planes import one_plane, plane_number
from tlearn.data.decoding.reading_options import Page, Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError
from tlearn.data.decoding.tiff.colour import colours_of
from tlearn.data.decoding.tiff.header import CMYK, PALETTE, TiffHeader
from tlearn.data.decoding.tiff.large import level_for, reduced_page

_CHANNEL_AXES, _PLACE_AXES = "CS", "YX"
_MOST_BITS = {"uint": 32, "int": 32, "float": 64}


def samples_of_tiff(file: BinaryIO, header: TiffHeader, reading: Reading, least_px: int | None) -> Samples:
    """Read the numbers of one plane of a TIFF file.

    Args:
        file: The file.
        header: Its tags.
        reading: The plane to read, and the limit of pixels.
        least_px: A short side that suffices.

    Raises:
        UnreadableImageError: It has no such plane, or holds what nobody reads.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file, _multifile=False) as tiff:
        limits = reading.max_megapixels, least_px
        if header.is_hyperstack:
            planes, count = _planes_of_series(tiff, header, reading.page, *limits)
            if count < header.planes:
                raise UnreadableImageError(f"truncated: {count} of the {header.planes} planes that its text names")
        else:
            count = len(header.pages)
            planes = (_plane(tiff, [tiff.pages[page]], page, header, *limits) for page in _wanted(header, reading.page))
        page: Page = reading.page if plane_number(reading.page, count) is None else "first"
        values = one_plane(planes, count, page, header.nodata)
    return _samples(upright(values, header.orientation), header)


def check_numbers(header: TiffHeader) -> None:
    """Refuse numbers that no picture has.

    Raises:
        UnreadableImageError: They are complex, whole numbers of 64 bits, or many of one bit.
    """
    if header.kind not in _MOST_BITS or header.bits > _MOST_BITS[header.kind]:
        kind = f"{header.kind}{header.bits}" if header.kind != "unknown" else "an unknown kind"
        raise UnreadableImageError(f"TIFF of {kind}, which is not read; save whole numbers of 8 to 32 bits, or floats")
    if header.bits == 1 and header.channels > 1:  # tifffile misreads them
        raise UnreadableImageError(f"{header.what}, which is not read; save 8 bits")


def _wanted(header: TiffHeader, page: Page) -> tuple[int, ...]:
    """Return the numbers of the pages that are read."""
    number = plane_number(page, len(header.pages))
    return header.pages if number is None else (header.pages[number],)


def _plane(
    tiff: Any, pages: list[Any], number: int, header: TiffHeader, max_megapixels: float, least_px: int | None
) -> NDArray[Any]:
    """Read the pages of one plane, (H, W, C); a damaged one is named by its number, from 0."""
    try:
        parts = [colours_of(_page_values(tiff, page, header, max_megapixels, least_px), page) for page in pages]
    except UnreadableImageError:
        raise
    except Exception as error:  # damaged bytes are misread in every way
        where = f"page {number + 1}: " if len(tiff.pages) > 1 else ""
        raise UnreadableImageError(f"{where}damaged ({one_line(error)[:80]})") from error
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _page_values(tiff: Any, page: Any, header: TiffHeader, max_megapixels: float, least_px: int | None) -> NDArray[Any]:
    if page is None:
        raise UnreadableImageError("planes of this stack are in another file, which is not read")
    keyframe = page.keyframe
    if keyframe.imagedepth > 1:
        raise UnreadableImageError("TIFF of volumes, which is not read; save each depth as a page")
    level = level_for(tiff, page, max_megapixels, least_px)
    ends = max((at + size for at, size in zip(level.dataoffsets, level.databytecounts, strict=False)), default=0)
    if ends > tiff.filehandle.size:
        where = f"page {page.index + 1}: " if len(tiff.pages) > 1 else ""
        raise UnreadableImageError(f"{where}truncated")
    return reduced_page(level, max_megapixels, least_px, header.nodata)


def _planes_of_series(
    tiff: Any, header: TiffHeader, page: Page, max_megapixels: float, least_px: int | None
) -> tuple[Iterator[NDArray[Any]], int]:
    """Return the planes of the first series that are wanted, and how many there are."""
    series = tiff.series[0]
    pages, count = _pages_by_plane(series)
    number = plane_number(page, count)
    wanted = range(count) if number is None else (number,)

    def planes() -> Iterator[NDArray[Any]]:
        for each in wanted:
            places = [int(place) for place in pages[each]]
            found = [series.pages[place] for place in places] if len(series.pages) > 1 or not series.dataoffset else []
            if found or pages.size == 1:
                yield _plane(tiff, found or [series.pages[0]], places[0], header, max_megapixels, least_px)
            else:
                yield _stored_together(tiff, series, places, max_megapixels)

    return planes(), count


def _pages_by_plane(series: Any) -> tuple[NDArray[np.intp], int]:
    """Return the numbers of the pages of each plane, (planes, pages of a plane), by the axes of the series."""
    inner = len(series.keyframe.shape)
    if tuple(series.shape[len(series.shape) - inner :]) != tuple(series.keyframe.shape):
        raise UnreadableImageError(f"a stack of axes {series.axes}, which is not read; save ZCYX or CYX")
    outer, shape = series.axes[: len(series.shape) - inner], series.shape[: len(series.shape) - inner]
    numbers = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    if numbers.size != len(series.pages) and not series.dataoffset:
        raise UnreadableImageError(f"{len(series.pages)} pages of a stack of {numbers.size}")
    order = [place for place, axis in enumerate(outer) if axis not in _CHANNEL_AXES]
    channels = [place for place, axis in enumerate(outer) if axis in _CHANNEL_AXES]
    count = int(np.prod([shape[place] for place in order], dtype=np.int64))
    return numbers.transpose(*order, *channels).reshape(count, -1), count


def _stored_together(tiff: Any, series: Any, places: list[int], max_megapixels: float) -> NDArray[Any]:
    """Read the pages of a plane of a stack that has the tags of its first page alone, as ImageJ writes large ones."""
    height, width = series.keyframe.imagelength, series.keyframe.imagewidth
    check_size((width, height), max_megapixels)
    kind = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
    parts = []
    for place in places:
        count = int(np.prod(series.keyframe.shape))
        tiff.filehandle.seek(series.dataoffset + place * count * kind.itemsize)
        data = tiff.filehandle.read(count * kind.itemsize)
        if len(data) < count * kind.itemsize:
            raise UnreadableImageError(f"plane {place + 1}: truncated")
        values = np.frombuffer(data, kind).reshape(series.keyframe.shaped)
        parts.append(values[:, 0].transpose(1, 2, 0, 3).reshape(height, width, -1))
    return np.concatenate(parts, axis=2).astype(series.dtype)


def _samples(values: NDArray[Any], header: TiffHeader) -> Samples:
    is_converted = header.photometric in (CMYK, PALETTE)
    bits = header.bits if values.dtype.kind == "u" and header.bits < 8 * values.dtype.itemsize else None
    if values.dtype == np.bool_:
        values, bits = values.astype(np.uint8) * np.uint8(255), None
    if header.photometric == PALETTE:
        bits = None
    bits = bits or 8 * values.dtype.itemsize
    names = header.names if len(header.names) == values.shape[2] else ()
    alpha = header.alpha
    if is_converted and alpha is not None:
        alpha -= header.channels - values.shape[2]
    samples = Samples(values, bits, names, alpha, header.nodata, header.white_is_zero)
    return _unmultiplied(samples) if header.is_premultiplied and alpha is not None else samples


def _unmultiplied(samples: Samples) -> Samples:
    """Divide colours by the transparency by which they were multiplied."""
    if not is_transparency(samples) or samples.alpha is None:
        return samples
    whole = samples.type_range or (0.0, 1.0)
    alpha = samples.values[:, :, [samples.alpha]].astype(np.float64)
    colours = np.divide(samples.values * float(whole[1]), alpha, where=alpha > 0, out=np.zeros(samples.values.shape))
    if samples.is_whole:
        colours = np.rint(colours).clip(*whole)
    colours = colours.astype(samples.values.dtype)
    colours[:, :, samples.alpha] = samples.values[:, :, samples.alpha]
    return replace(samples, values=colours)


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn (H, W, C) by the tag Orientation, 1 to 8."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
