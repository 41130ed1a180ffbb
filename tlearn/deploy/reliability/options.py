"""What may be asked beside an answer: its set, "unknown", the nearest training pictures. No torch is needed here."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, get_args

from tlearn.base.errors import TlearnError, unknown

CoverageBy = Literal["all", "class", "group"]
MOST_NEAREST = 100


@dataclass(frozen=True)
class ReliabilityOptions:
    """What is asked of answers.

    Attributes:
        coverage: In which share of pictures the answer's set, or interval, holds the truth; ``None`` for no sets.
        coverage_by: Whom it is promised: pictures of ``all`` classes taken together, of each ``class``, or of a
            ``group`` that was never seen, which `min_accuracy` is then promised too.
        min_accuracy: Share of the answers given that are right; the other pictures are ``unknown``. ``None`` answers
            all.
        unknown: Pictures like none of the training pictures are ``unknown``.
        nearest: How many training pictures are named that look most like each.
    """

    coverage: float | None = None
    coverage_by: CoverageBy = "all"
    min_accuracy: float | None = None
    unknown: bool = False
    nearest: int = 0

    @property
    def abstains(self) -> bool:
        """Tell whether an answer may be ``unknown``."""
        return self.unknown or self.min_accuracy is not None

    @property
    def asked(self) -> str:
        """Return what was asked, as it is typed without dashes: ``coverage 0.9, nearest 5``; empty for nothing."""
        parts = [f"{name} {value:g}" for name, value in self._shares() if value is not None]
        parts += ["unknown true"] * self.unknown + [f"nearest {self.nearest}"] * (self.nearest > 0)
        return ", ".join(parts)

    @property
    def typed(self) -> dict[str, float | str]:
        """Return what differs from asking for nothing, as options of a command line."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in given.items() if value != getattr(NOTHING, name)}

    def check(self) -> None:
        """Check the values, before anything is read.

        Raises:
            TlearnError: A share outside 0 to 1, a count below 0, a value of another type, or an option that needs
                another one.
        """
        for name, value in self._shares():
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if value is not None and not (is_number and math.isfinite(value) and 0 < value < 1):
                got = f"{value:g}" if is_number else repr(value)
                raise TlearnError(f"{name}: expected a share above 0 and below 1, such as 0.9; got {got}")
        if not isinstance(self.unknown, bool):
            raise TlearnError(f"unknown: expected true or false, got {self.unknown!r}")
        if self.coverage_by not in get_args(CoverageBy):
            raise unknown("value of coverage_by", str(self.coverage_by), get_args(CoverageBy))
        if not (isinstance(self.nearest, Integral) and 0 <= self.nearest <= MOST_NEAREST):
            raise TlearnError(f"nearest: expected a number of pictures from 0 to {MOST_NEAREST}, got {self.nearest!r}")
        if self.coverage_by == "class" and self.coverage is None:
            raise TlearnError("coverage_by class needs a coverage, such as 0.9")
        if self.coverage_by == "group" and self.coverage is None and self.min_accuracy is None:
            raise TlearnError("coverage_by group needs a coverage or a min_accuracy, such as 0.9")

    def _shares(self) -> list[tuple[str, float | None]]:
        return [("coverage", self.coverage), ("min_accuracy", self.min_accuracy)]


def check_outputs_fit(out: Path, int8: bool, options: ReliabilityOptions) -> None:
    """Check that a file that is exported can tell what is asked.

    Raises:
        TlearnError: A value means nothing, or that kind of file has no further outputs.
    """
    options.check()
    if options.nearest:
        raise TlearnError("nearest: an export names no training pictures; ask tlearn.load for them")
    if options.asked and out.suffix not in (".onnx", ".pt2"):
        raise TlearnError(f"{options.asked}: {out.suffix} holds weights alone; export to .onnx or .pt2")
    if options.asked and int8:
        raise TlearnError(f"{options.asked}: promised of float32 answers, which 8 bits change; leave out quantize")


NOTHING = ReliabilityOptions()
