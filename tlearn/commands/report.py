"""The verb ``report``, and `tlearn.report`: make a run's report anew from what lies in its folder. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tlearn.base.errors import TlearnError
from tlearn.base.places import newest_first, run_folder_of
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments, VerbParser
from tlearn.cli.isolation import called_from_python

if TYPE_CHECKING:
    from tlearn.commands.fit import Run


def report(run: str | Path | Run) -> Path:
    """Make ``report.html`` and ``card.md`` of a run anew, as ``tlearn report`` does.

    Args:
        run: What `tlearn.fit` returned, a run folder, a folder of runs, whose newest is taken, or a checkpoint of the
            run.

    Returns:
        The path of the report.

    Raises:
        TlearnError: There is no such folder, it has no card, or a page cannot be written.
    """
    folder = Path(run) if isinstance(run, (str, Path)) else run.folder
    if folder is None:
        raise TlearnError("this run wrote no folder, so it has no report; fit without trainer.fast_dev_run")
    with called_from_python():
        return _made(folder)


def run(arguments: Arguments) -> None:
    """Make the report that a command line names, and print its path."""
    parser = VerbParser()
    parser.option("--ckpt_path", "a run folder or a checkpoint")
    own, rest = parser.take(arguments)
    named = [*([own.ckpt_path] if own.ckpt_path else []), *rest.options]
    if len(named) != 1 or named[0].startswith("-") or rest.configs:
        typed = " ".join([*(f"--config {config}" for config in rest.configs), *named]) or "nothing"
        raise TlearnError(f"report takes one run, such as '{program()} report runs/NAME/version_0', got: {typed}")
    print(f"report: {_made(Path(named[0]))}")


def _made(place: Path) -> Path:
    from tlearn.reporting.card.files import read_card, write_pages

    folder = _run_folder(place)
    card = read_card(folder)
    if not card:
        raise TlearnError(f"{folder}/card.json is no card that this tlearn reads; fit or test writes one")
    return write_pages(folder, card)


def _run_folder(place: Path) -> Path:
    """Return the folder of the run that is meant.

    Raises:
        TlearnError: There is no such place, or no card in it.
    """
    if not place.exists():
        raise TlearnError(f"no run at {place.absolute()}; give a run folder, such as runs/NAME/version_0")
    folder = place if place.is_dir() else run_folder_of(place.absolute())
    if folder is None:
        raise TlearnError(f"{place} lies in no run folder, so there is nothing to report; give a run folder")
    if (folder / "card.json").is_file():
        return folder
    newest = next((each for each in newest_first(folder) if (each / "card.json").is_file()), None)
    if newest is None:
        raise TlearnError(f"no card.json in {folder.absolute()}; fit writes one when it ends, and test adds to it")
    return newest
