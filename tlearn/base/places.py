"""Where runs lie on disk: ``ROOT/NAME/version_N/checkpoints/{best,last}.ckpt``. Imports nothing heavy."""

from __future__ import annotations

import logging
from pathlib import Path

from tlearn.base.errors import TlearnError

DEFAULT_ROOT = "runs"
log = logging.getLogger(__name__)

KEYWORDS = ("best", "last", "wise_ft")
_WAYS = "give --ckpt_path best, last, wise_ft, a run folder or a file"


def run_folder_of(checkpoint: Path) -> Path | None:
    """Return the run folder that a checkpoint lies in, or ``None`` when it was moved elsewhere."""
    inside = checkpoint.parent.name == "checkpoints" and checkpoint.parent.parent.name.startswith("version_")
    return checkpoint.parent.parent if inside else None


def version_of(run: Path) -> int:
    """Return N of ``version_N``, or -1 for a folder of another name."""
    number = run.name.removeprefix("version_")
    return int(number) if number.isdigit() else -1


def newest_first(runs: Path) -> list[Path]:
    """Return the folders ``version_N`` of a name, the highest number first; others called so come last."""
    return sorted(runs.glob("version_*"), key=version_of, reverse=True)


def find_named(option: str, named: str | Path, note: str = "") -> Path:
    """Return the checkpoint ``best.ckpt`` of a run that an option of the model names.

    Args:
        option: As ``model.ensemble``, for messages.
        named: A run folder, a folder of runs, of which the newest is taken, a name under ``runs/``, or a checkpoint.
        note: What else is to be said where there is none.

    Raises:
        TlearnError: There is none; the absolute path that was looked at is named.
    """
    below = Path(DEFAULT_ROOT, named)  # runs are named after the pictures, whose folder is no run
    place = below if not _holds_run(Path(named)) and below.exists() else Path(named)
    ways = f"{option} takes a run folder, a name under {DEFAULT_ROOT}/ or a checkpoint"
    if not str(named) or not place.exists():
        raise TlearnError(f"{option}: no checkpoint at {place.absolute()}; {note or ways}")
    return find_checkpoint(str(place.absolute() if str(place) in KEYWORDS else place), below.parent, "best", ways)


def _holds_run(place: Path) -> bool:
    runs = [place, *place.glob("version_*")]
    return place.is_file() or place.name == "checkpoints" or any((run / "checkpoints").is_dir() for run in runs)


def as_told(path: Path) -> str:
    """Return a path as configs and lines name it: from the working folder on, where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def find_checkpoint(given: str, runs: Path, keyword: str, ways: str = _WAYS) -> Path:
    """Return the file that ``--ckpt_path`` means.

    Args:
        given: ``best``, ``last`` or ``wise_ft`` (looked up in the newest run that has it), a run folder, the folder of
            all runs of a name, of which the newest with a checkpoint is taken and named, or a file.
        runs: The folder that holds the ``version_N`` of this config.
        keyword: Which of a run folder's checkpoints to take: ``best`` or ``last``.
        ways: What to do where there is none, for the message.

    Raises:
        TlearnError: There is none; the absolute path that was looked at is named.
    """
    if given in KEYWORDS:
        found = [folder / "checkpoints" / f"{given}.ckpt" for folder in newest_first(runs)]
        found = [path for path in found if path.is_file()]
        if not found:
            raise TlearnError(f"no {given}.ckpt under {runs.absolute()}; run fit first, or give --ckpt_path a path")
        return found[0].absolute()
    path = _run_in(Path(given).absolute(), keyword)
    if path.is_dir():
        path = path / ("" if path.name == "checkpoints" else "checkpoints") / f"{keyword}.ckpt"
        last = path.with_name("last.ckpt")
        if not path.is_file() and last.is_file():  # where nothing validates, no epoch is the best
            log.warning("%s has no %s.ckpt; last.ckpt is taken", path.parent, keyword)
            path = last
    if not path.is_file():
        raise TlearnError(f"no checkpoint at {path}; {ways}")
    return path


def _run_in(place: Path, keyword: str) -> Path:
    """Return the newest of the runs in a folder that has a checkpoint; any other place as it is."""
    runs = [path for path in newest_first(place) if version_of(path) >= 0]
    if not runs or (place / "checkpoints").is_dir():
        return place
    trained = [
        run for run in runs if any((run / "checkpoints" / f"{name}.ckpt").is_file() for name in (keyword, "last"))
    ]
    if not trained:
        raise TlearnError(f"no run under {place} has a checkpoint ({len(runs)} there); fit again")
    without = f"; {runs[0].name} has no checkpoint" if trained[0] != runs[0] else ""
    log.info("%s: using %s, the newest run%s", place, trained[0].name, without)
    return trained[0]
