"""Read TIFF pages of gigapixels in little memory: a level of a pyramid, or means of boxes, piece by piece.

Letters: H and W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.pillow_file import check_size
from tlearn.data.decoding.samples import UnreadableImageError, measured_in
from tlearn.data.decoding.tiff.camera_raw import REDUCED
from tlearn.data.decoding.tiff.header import LARGE_MEGAPIXELS, MASK, PALETTE

_PIECE_BYTES = 2**24  # that are read at once
_MOST_TIMES = 100  # the limit of pixels that are decoded, where the result is within it
_SAME_ASPECT = 0.02  # as a share


def level_for(tiff: Any, page: Any, max_megapixels: float, least_px: int | None) -> Any:
    """Return the smallest level of a page's pyramid whose short side is at least twice as long as suffices.

    Args:
        tiff: tifffile's file.
        page: tifffile's page, at full size.
        max_megapixels: The limit of pixels.
        least_px: A short side that suffices; ``None`` if all pixels are needed.

    Returns:
        tifffile's page of the level; the page itself if it is no large one.
    """
    if least_px is None or not _is_large(page, max_megapixels):
        return page
    levels = [each for each in _levels(tiff, page) if _is_level_of(each, page)]
    enough = [each for each in levels if min(_size(each)) >= 2 * least_px]
    return min([page, *enough], key=lambda each: min(_size(each)))


def reduced_page(page: Any, max_megapixels: float, least_px: int | None, nodata: float | None) -> NDArray[Any]:
    """Read a page, (H, W, C); a large one as the means of boxes, at least twice as large as suffices.

    Raises:
        UnreadableImageError: It has more pixels than the limit.
    """
    keyframe, size = page.keyframe, _size(page)
    factor = 1
    if least_px is not None and _is_large(page, max_megapixels) and int(keyframe.photometric) != PALETTE:
        factor = max(1, min(size) // (2 * least_px))
    check_size((-(-size[0] // factor), -(-size[1] // factor)), max_megapixels)
    if size[0] * size[1] > _MOST_TIMES * max_megapixels * 1e6:
        check_size(size, max_megapixels)  # to look at all its pixels takes minutes, even if they are few bytes
    check_size(_piece_size(keyframe), max_megapixels)
    if factor == 1:
        values = np.asarray(page.asarray(maxworkers=1)).reshape(keyframe.shaped)
        return values[:, 0].transpose(1, 2, 0, 3).reshape(size[1], size[0], -1)
    means = _BoxMeans(size[1], size[0], keyframe.samplesperpixel, factor, nodata)
    for values, top, left, channel in _pieces(page):
        means.add(values, top, left, channel)
    return means.result(keyframe.dtype)


def _size(page: Any) -> tuple[int, int]:
    return int(page.keyframe.imagewidth), int(page.keyframe.imagelength)


def _is_large(page: Any, max_megapixels: float) -> bool:
    width, height = _size(page)
    return width * height > min(LARGE_MEGAPIXELS, max_megapixels) * 1e6


def _piece_size(keyframe: Any) -> tuple[int, int]:
    """Return width and height of what is decoded at once."""
    if keyframe.is_tiled:
        return int(keyframe.tilewidth), int(keyframe.tilelength)
    rows = 1 if keyframe.is_contiguous else min(int(keyframe.rowsperstrip), int(keyframe.imagelength))
    return int(keyframe.imagewidth), rows


def _levels(tiff: Any, page: Any) -> Iterator[Any]:
    """Yield pages that may be smaller copies: of SubIFDs, of slides, and those that follow and are called reduced."""
    yield from page.pages or ()
    for series in tiff.series[:1]:
        for level in series.levels[1:]:
            if series.keyframe.offset == page.keyframe.offset and series.levels[0].pages[0] is not None:
                places = [number for number, each in enumerate(series.pages) if each is page or _same(each, page)]
                yield from (level.pages[place] for place in places if place < len(level.pages))
    for number in range(page.index + 1, len(tiff.pages)) if isinstance(page.index, int) else ():
        following = tiff.pages[number]
        if not int(following.keyframe.subfiletype) & REDUCED:
            break
        yield following


def _same(one: Any, other: Any) -> bool:
    return one is not None and one.offset == other.offset


def _is_level_of(level: Any, page: Any) -> bool:
    if level is None or int(level.keyframe.subfiletype) & MASK:
        return False
    (width, height), (full_width, full_height) = _size(level), _size(page)
    is_alike = abs(width * full_height / (height * full_width) - 1) <= _SAME_ASPECT
    return (
        is_alike
        and level.keyframe.dtype == page.keyframe.dtype
        and level.keyframe.samplesperpixel == page.keyframe.samplesperpixel
        and level.keyframe.photometric == page.keyframe.photometric
    )


def _pieces(page: Any) -> Iterator[tuple[NDArray[Any], int, int, int]]:
    """Yield the strips or tiles of a page: numbers (H, W, C), top, left, and the first channel."""
    keyframe = page.keyframe
    width, height = _size(page)
    if keyframe.is_contiguous:
        yield from _rows(page)
        return
    for values, (channel, _, top, left, _), _ in page.segments(maxworkers=1, buffersize=_PIECE_BYTES):
        if values is None:  # nothing was written there
            continue
        yield values[0, : height - top, : width - left], top, left, channel


def _rows(page: Any) -> Iterator[tuple[NDArray[Any], int, int, int]]:
    """Yield rows of a page that is not compressed."""
    channels, _, height, width, together = page.keyframe.shaped
    kind = page.keyframe.dtype.newbyteorder(page.parent.byteorder)
    row_bytes = width * together * kind.itemsize
    at_once = max(1, _PIECE_BYTES // row_bytes)
    file, place = page.parent.filehandle, page.dataoffsets[0]
    for channel in range(channels):
        for top in range(0, height, at_once):
            file.seek(place + (channel * height + top) * row_bytes)
            count = min(at_once, height - top)
            data = file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise UnreadableImageError("truncated")
            yield np.frombuffer(data, kind).reshape(count, width, together), top, 0, channel


class _BoxMeans:
    """Collects the means of the numbers in boxes of a picture that comes in pieces.

    Args:
        height: H of the picture.
        width: W of the picture.
        channels: C.
        factor: Side of a box; those at the right and at the bottom may be smaller.
        nodata: The number that does not count. NaN and infinity never do.
    """

    def __init__(self, height: int, width: int, channels: int, factor: int, nodata: float | None) -> None:
        shape = -(-height // factor), -(-width // factor), channels
        self._sums, self._counts = np.zeros(shape), np.zeros(shape)
        self._factor, self._nodata = factor, nodata

    def add(self, values: NDArray[Any], top: int, left: int, channel: int) -> None:
        """Add a piece (H, W, C) that starts at a pixel and at a channel."""
        there = measured_in(values, self._nodata)
        if there is not None:
            values = np.where(there, values, values.dtype.type(0))
        rows, columns = self._edges(top, values.shape[0]), self._edges(left, values.shape[1])
        y, x = top // self._factor, left // self._factor
        place = np.s_[y : y + len(rows), x : x + len(columns), channel : channel + values.shape[2]]
        self._sums[place] += _summed(values, rows, columns)
        if there is None:
            heights, widths = (
                np.diff([*edges, end]) for edges, end in ((rows, values.shape[0]), (columns, values.shape[1]))
            )
            self._counts[place] += np.outer(heights, widths)[:, :, None]
        else:
            self._counts[place] += _summed(there, rows, columns)

    def result(self, kind: np.dtype[Any]) -> NDArray[Any]:
        """Return the means, of the type of the numbers; where nothing was measured, the number that says so."""
        empty = self._counts == 0
        means = self._sums / np.where(empty, 1, self._counts)
        if kind.kind in "ui":
            means = np.rint(means)
        means[empty] = (np.nan if kind.kind == "f" else 0) if self._nodata is None else self._nodata
        return means.astype(kind)

    def _edges(self, start: int, length: int) -> NDArray[np.intp]:
        """Return where boxes begin in a piece."""
        first = -start % self._factor
        inner = np.arange(first, length, self._factor)
        return inner if first == 0 else np.concatenate([[0], inner]).astype(np.intp)


def _summed(values: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Return the sums of boxes that begin at these rows and columns.

    Sums of whole rows take a tenth of the time of `numpy.add.reduceat`, which adds the much smaller rest.
    """
    small = {"u": np.uint32, "b": np.uint32, "i": np.int32}.get(values.dtype.kind, np.float64)  # 65,536 rows fit
    exact = small if values.dtype.itemsize <= 2 or small is np.float64 else np.int64
    ends = [*rows[1:], len(values)]
    bands = np.stack([values[top:end].sum(axis=0, dtype=exact) for top, end in zip(rows, ends, strict=True)])
    wide = np.float64 if exact is np.float64 else np.int64
    sums: NDArray[Any] = np.add.reduceat(bands, columns, axis=1, dtype=wide)
    return sums
