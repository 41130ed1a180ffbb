"""Make one plane of a stack. Letters: H and W pixels, C channels."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.reading_options import Page
from tlearn.data.decoding.samples import UnreadableImageError, measured_in


def plane_number(page: Page, count: int) -> int | None:
    """Return which plane is read, from 0; ``None`` if all are.

    Raises:
        UnreadableImageError: There is no such plane.
    """
    if isinstance(page, int):
        if page <= count:
            return page - 1
        raise UnreadableImageError(f"no plane {page} of data.init_args.page, it has {count}")
    return {"first": 0, "middle": (count - 1) // 2}.get(page)


def one_plane(planes: Iterable[NDArray[Any]], count: int, page: Page, nodata: float | None = None) -> NDArray[Any]:
    """Take one plane, or the largest or mean number at each place of all; two planes are in memory at a time.

    The largest and the mean are of what was measured there: neither NaN, infinity nor ``nodata``.

    Args:
        planes: (H, W, C) of each, read when it is asked for. The caller may give the wanted one alone.
        count: How many planes the file has.
        page: Which plane.
        nodata: The number that means that nothing was measured.

    Raises:
        UnreadableImageError: There is no such plane, or planes are not of one shape.
    """
    wanted = plane_number(page, count)
    if wanted is not None:
        found = next(islice(planes, wanted, None), None)
        if found is None:
            raise UnreadableImageError("no planes")
        return found
    rest = iter(planes)
    first = next(rest, None)
    if first is None:
        raise UnreadableImageError("no planes")
    total, times = _measured(first, page, nodata)
    for plane in rest:
        if plane.shape != first.shape:
            raise UnreadableImageError(
                f"planes of unlike sizes, {first.shape[:2]} and {plane.shape[:2]} px; data.init_args.page {page} needs "
                "one size: give the number of a plane"
            )
        values, there = _measured(plane, page, nodata)
        total = np.maximum(total, values) if page == "max" else total + values
        times = times + there
    if page == "mean":
        total = total / np.maximum(times, 1)
        total = np.rint(total) if first.dtype.kind in "ui" else total
    missing = np.nan if first.dtype.kind == "f" else nodata
    values = total.astype(first.dtype)
    return values if missing is None else np.where(times > 0, values, np.asarray(missing).astype(first.dtype))


def _measured(plane: NDArray[Any], page: Page, nodata: float | None) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return a plane whose unmeasured numbers decide nothing, and 1 where something was measured."""
    values, there = plane if page == "max" else plane.astype(np.float64), measured_in(plane, nodata)
    if there is None:
        return values, np.ones(plane.shape, np.int32)
    least = (-np.inf if plane.dtype.kind == "f" else np.iinfo(plane.dtype).min) if page == "max" else 0
    return np.where(there, values, np.asarray(least).astype(values.dtype)), there.astype(np.int32)
