"""The verb ``review``, and `tlearn.review`: look at labels, the most doubtful first, and mend them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tlearn.analysis.pool.labelled_pool import labelled_pool
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of
from tlearn.base.intervals import percent
from tlearn.base.next_command import command_line
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments, VerbParser, one_of, with_own
from tlearn.cli.faults import translated_faults
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.pages.fixed_network import fixed_network
from tlearn.commands.pages.moves import WAYS, move_files
from tlearn.commands.pages.options import check_web, server_options, taken_server
from tlearn.data.doctor.diagnosis import diagnose
from tlearn.data.labels.counting import counting_only
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.pages.review.doubts import Doubts, doubts_of, write_doubts
from tlearn.pages.review.findings import lines_by_picture
from tlearn.pages.review.session import ReviewSession
from tlearn.pages.server.options import ServerOptions

_FEW = "a class needs two pictures or more, of two groups where there are groups"
log = logging.getLogger(__name__)


def review(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
) -> Doubts:
    """Say how doubtful each label is, as ``tlearn review TARGET --out FILE`` does; no page is opened.

    Args:
        config: A run, a folder of pictures, a table or a config.
        options: Dotted option names to values; they beat the config.
        out: A CSV file to write the table to.

    Returns:
        Every picture that trains or validates, the most doubtful first.

    Raises:
        TlearnError: A fault in the options, the data or the weights; labels that are not one class a picture.
    """
    with called_from_python():
        own, arguments = _taken(arguments_of("review", config, with_own(options, out=out)))
        doubts = doubts_of(_session(arguments))
        if own.out is not None:
            write_doubts(own.out, doubts)
        return doubts


def run(arguments: Arguments) -> None:
    """Serve the page until Ctrl-C, write the table of ``--out`` without it, or move files.

    Raises:
        TlearnError: What serves a page is not installed, or see `review`.
    """
    own, arguments = _taken(arguments)
    if own.apply is not None:
        move_files(own.apply, own.yes, arguments)
        return
    if own.out is not None:
        doubts = doubts_of(_session(arguments))
        write_doubts(own.out, doubts)
        _print(doubts, own.out, arguments)
        return
    check_web("review")
    from tlearn.pages.review.routes import review_app
    from tlearn.pages.server.running import run_server

    session = _session(arguments)
    run_server(review_app(session, own.server), own.server, f"review of {len(session.pool):,} pictures")


class _Own(NamedTuple):
    out: Path | None
    apply: str | None
    yes: bool
    server: ServerOptions


def _taken(arguments: Arguments) -> tuple[_Own, Arguments]:
    parser = VerbParser()
    parser.option("--out", "the name of a file to write", Path)
    parser.option("--apply", "MOVE or UNDO", one_of("--apply", WAYS))
    parser.flag("--yes")
    server_options(parser)
    own, rest = parser.take(arguments)
    if own.yes and own.apply is None:
        raise TlearnError("--yes belongs to --apply MOVE and --apply UNDO; drop it")
    if own.out is not None:
        check_folder_of(own.out)
    return _Own(own.out, own.apply, own.yes, taken_server(own)), rest


def _session(arguments: Arguments) -> ReviewSession:
    with counting_only("label"):
        cli, remark = fixed_network(arguments)
    data = cli.datamodule
    if cli.model.task != "classification":
        kind = "several labels" if cli.model.task == "multilabel" else "values"
        raise TlearnError(f"review is for pictures of one class each, these have {kind}; doctor looks at them")
    if not isinstance(data, ImageFilesDataModule):
        raise TlearnError(f"review looks at picture files; {type(data).__name__} has none of its own")
    if remark:
        log.info("%s", remark)
    with translated_faults(arguments), cli.looking(), Progress("review"):
        pool = labelled_pool(cli.trainer, cli.model)
    labels = zip(pool.names, pool.labels.tolist(), strict=True)
    given = [data.listed.old_of(name, pool.class_names[label]) for name, label in labels]
    return ReviewSession(pool, f"Review of {pool.root.absolute().name}", remark, given, lambda: _found_in(data))


def _found_in(data: ImageFilesDataModule) -> Mapping[str, list[str]]:
    pictures = [*data.pictures_of("train"), *data.pictures_of("val")]
    found = diagnose(pictures, data.class_names, data.framing, False, data.task)
    return lines_by_picture(found, pictures)


def _print(doubts: Doubts, out: Path, arguments: Arguments) -> None:
    count = len(doubts)
    if doubts.score is None:
        print(f"{count:,} pictures, no label of which can be checked: {_FEW}")
    else:
        print(f"{count:,} pictures, out of fold {percent(doubts.score)} of their labels are what the network says")
    print(f"some {doubts.worth_looking:,} of the labels may be wrong; the most doubtful:")
    for each in doubts[:5]:
        print(f"  {each.path}: {each.label}, the network says {each.proposal}")
    print(f"every picture: {out}")
    words = [word.removeprefix("--ckpt_path=") for word in arguments.again()]
    print(f"next: {command_line('review', *words)}")
