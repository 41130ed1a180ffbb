"""The verb ``doctor NEW --against RUN``: say whether new pictures are like those that a run has learned from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.next_command import command_line
from tlearn.base.places import DEFAULT_ROOT, find_checkpoint, run_folder_of
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments, VerbParser
from tlearn.deploy.drift.against import Drift, drift_of
from tlearn.models.reliability.drift import LEVEL
from tlearn.models.reliability.two_sample import PERMUTATIONS

NOT_ALIKE = 3  # the exit status
_LEAST_LEVEL = 2 / (PERMUTATIONS + 1)  # below it nothing could be found: the least p that there is, of two tests


def drift(
    new: str | Path | Sequence[str | Path], against: str | Path, *, level: float = LEVEL, out: Path | None = None
) -> Drift:
    """Compare new pictures with those of a run, as ``tlearn doctor NEW --against RUN`` does.

    Args:
        new: A folder, a pattern such as ``photos/*.jpg``, a file, or several of these.
        against: A run folder, or a checkpoint.
        level: How often a difference may be found where there is none.
        out: A JSON file to write all numbers to.

    Raises:
        TlearnError: There is no such run or picture, fewer than 8 pictures, or a run that kept nothing to compare with.
    """
    if not _LEAST_LEVEL <= level < 1:
        raise TlearnError(f"level: expected a share from {_LEAST_LEVEL:g} to below 1, such as {LEVEL:g}; got {level:g}")
    if out is not None:
        check_folder_of(out)
    places = [str(new)] if isinstance(new, (str, Path)) else [str(each) for each in new]
    found = drift_of(places, find_checkpoint(str(against), Path(DEFAULT_ROOT), "best"), level)
    if out is not None:
        write_whole(out, json.dumps(found.as_plain(), indent=1))
    return found


def run(arguments: Arguments) -> NoReturn:
    """Print the report, and end with 0 if the pictures are alike and 3 if not.

    Raises:
        TlearnError: See `drift`.
        SystemExit: Always.
    """
    parser = VerbParser()
    parser.option("--against", "a run folder or a checkpoint")
    parser.option("--level", "a share such as 0.05", float, default=LEVEL)
    parser.option("--out", "the name of a file to write", Path)
    own, rest = parser.take(arguments)
    places, rest = rest.take_loose()
    if rest.options or rest.configs or not places:
        other = " ".join([*(config.word for config in rest.configs), *rest.options]) or "no pictures"
        raise TlearnError(f"expected '{program()} doctor PHOTOS --against RUN', with --level and --out; got {other}")
    found = drift(places, own.against, level=own.level, out=own.out)
    for line in found.lines:
        print(line)
    if own.out is not None:
        print(f"all numbers: {own.out}")
    place = run_folder_of(found.against) or found.against
    print(f"next: {command_line('predict', place, *places, *(() if found.alike else ('--unknown', 'true')))}")
    raise SystemExit(0 if found.alike else NOT_ALIKE)
