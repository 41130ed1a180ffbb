"""Make one plane of a stack. Letters: H and W pixels, C channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.reading_options import Page
from tlearn.data.decoding.samples import UnreadableImageError


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


def one_plane(planes: Iterable[NDArray[Any]], count: int, page: Page) -> NDArray[Any]:
    """Take one plane, or the largest or mean number at each place of all; two planes are in memory at a time.

    Args:
        planes: (H, W, C) of each, read when it is asked for. The caller may give the wanted one alone.
        count: How many planes the file has.
        page: Which plane.

    Raises:
        UnreadableImageError: There is no such plane, or planes are not of one shape.
    """
    wanted = plane_number(page, count)
    found: NDArray[Any] | None = None
    for number, plane in enumerate(planes):
        if wanted is not None:
            if number == wanted:
                return plane
            continue
        if found is not None and plane.shape != found.shape:
            raise UnreadableImageError(
                f"planes of unlike sizes, {found.shape[:2]} and {plane.shape[:2]} px; data.init_args.page {page} needs "
                "one size: give the number of a plane"
            )
        exact = plane if page == "max" else plane.astype(np.float64)
        found = exact if found is None else np.maximum(found, exact) if page == "max" else found + exact
        kind = plane.dtype
    if found is None:
        raise UnreadableImageError("no planes")
    if page == "max":
        return found
    mean = found / count
    return (np.rint(mean) if kind.kind in "ui" else mean).astype(kind)
