"""The numbers of a picture as its file holds them. Letters: H and W pixels, C channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"u": "uint", "i": "int", "f": "float"}


def lacks_extra(reason: str) -> bool:
    """Tell whether a file is good, and only a package is missing; the reason says how to install it."""
    return "pip install" in reason


class UnreadableImageError(Exception):
    """A file that cannot be decoded; the message is the reason, without the path."""


@dataclass(frozen=True)
class Samples:
    """A picture before its numbers become uint8.

    Attributes:
        values: (H, W, C), upright, of the file's own type.
        bits: How many bits of a number its file uses: 12 for a file of 12 bits, whose numbers stand in uint16.
        names: Names of the C channels, where the file has them.
        alpha: The channel that its file calls transparency.
        white_is_zero: A larger number is darker. Ranges are of the file's numbers, whatever they mean.
        is_alpha_sure: The format itself has such a channel. In a TIFF a tool may have called any fourth band so.
        nodata: The number that means that nothing was measured. NaN and infinity mean that anyway.
    """

    values: NDArray[Any]
    bits: int
    names: tuple[str, ...] = ()
    alpha: int | None = None
    nodata: float | None = None
    white_is_zero: bool = False
    is_alpha_sure: bool = False

    @property
    def sample_type(self) -> str:
        """Return the type of the numbers, such as ``uint12``, ``int16`` or ``float32``."""
        return f"{_KINDS[self.values.dtype.kind]}{self.bits}"

    @property
    def is_whole(self) -> bool:
        """Tell whether the numbers are whole ones."""
        return self.values.dtype.kind != "f"

    @property
    def type_range(self) -> tuple[float, float] | None:
        """Return the least and the largest number of the type; ``None`` for floats, which have no range."""
        return type_range(self.sample_type)

    @property
    def measured(self) -> NDArray[np.bool_] | None:
        """Tell where something was measured, (H, W, C); ``None`` if everywhere."""
        there = measured_in(self.values, self.nodata)
        return None if there is None or there.all() else there


def measured_in(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Tell which numbers are neither NaN, infinity nor ``nodata``; ``None`` if nothing of the kind can be there."""
    there = np.isfinite(values) if values.dtype.kind == "f" else None
    if nodata is not None and not np.isnan(nodata):
        known = values != np.asarray(nodata).astype(values.dtype)
        there = known if there is None else there & known
    return there


def type_range(sample_type: str) -> tuple[float, float] | None:
    """Return the least and the largest number of a sample type; ``None`` for floats, which have no range."""
    kind = sample_type.rstrip("0123456789")
    bits = int(sample_type.removeprefix(kind))
    if kind == "float":
        return None
    return (0, 2**bits - 1) if kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
