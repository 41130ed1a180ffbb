"""What a client asks beside its pictures, in the address. What is unknown is refused, so no typing error is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from tlearn.deploy.reliability.options import CoverageBy, ReliabilityOptions
from tlearn.pages.serve.served_run import ServedRun
from tlearn.pages.server.image_route import whole_number

RUN = "run"
ASKED = ("coverage", "coverage_by", "min_accuracy", "unknown", "nearest", "top_k", RUN, "name")
_MOST_CLASSES = 10**6


@dataclass(frozen=True)
class Asked:
    """What is asked of ``/predict``.

    Attributes:
        runs: Who shall answer.
        options: What answers are worth.
        top_k: How many classes are listed; ``None`` for all.
    """

    runs: list[ServedRun]
    options: ReliabilityOptions
    top_k: int | None


def asked_of(query: QueryParams, runs: Sequence[ServedRun]) -> Asked:
    """Read what is asked.

    Raises:
        HTTPException: A name that is unknown, given twice, or a value that means nothing; status 400.
        TlearnError: A value out of bounds.
    """
    check_names(query, ASKED, several=(RUN,))
    options = ReliabilityOptions(
        coverage=_share(query, "coverage"),
        coverage_by=cast(CoverageBy, query.get("coverage_by", "all")),
        min_accuracy=_share(query, "min_accuracy"),
        unknown=_truth(query, "unknown"),
        nearest=whole_number(query.get("nearest", "0"), "nearest", 0, 100),
    )
    options.check()
    top_k = whole_number(query["top_k"], "top_k", 1, _MOST_CLASSES) if "top_k" in query else None
    named = query.getlist(RUN)
    return Asked([run_named(runs, name) for name in dict.fromkeys(named)] or list(runs), options, top_k)


def check_names(query: QueryParams, known: Sequence[str], several: Sequence[str] = ()) -> None:
    """Check the names in an address.

    Args:
        query: Names and values in it.
        known: Names that mean something.
        several: Those of them that may be given more than once.

    Raises:
        HTTPException: One is unknown, or given twice; status 400.
    """
    for name in query:
        if name not in known:
            raise HTTPException(400, f"expected {', '.join(known)}, got {name[:40]!r}")
        if name not in several and len(query.getlist(name)) > 1:
            raise HTTPException(400, f"{name}: given twice")


def run_named(runs: Sequence[ServedRun], name: str | None) -> ServedRun:
    """Return the run of a name; without one the first.

    Raises:
        HTTPException: There is none of this name; status 404.
    """
    if name is None:
        return runs[0]
    found = next((run for run in runs if run.name == name), None)
    if found is None:
        raise HTTPException(404, f"no run {name[:80]!r}; there are {', '.join(run.name for run in runs)}")
    return found


def _share(query: QueryParams, name: str) -> float | None:
    if name not in query:
        return None
    try:
        value = float(query[name])
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise HTTPException(400, f"{name}: expected a share above 0 and below 1, such as 0.9; got {query[name][:40]!r}")
    return value


def _truth(query: QueryParams, name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise HTTPException(400, f"{name}: expected true or false, got {text[:40]!r}")
    return text == "true"
