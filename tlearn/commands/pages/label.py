"""The verb ``label``, and `tlearn.label`: which pictures to label next, and a page that takes the answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, safe_cell, write_whole
from tlearn.base.intervals import percent
from tlearn.base.next_command import command_line
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments, VerbParser, positive_int
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import config_of, is_config, option_words
from tlearn.commands.pages.options import check_web, server_options, taken_server
from tlearn.pages.server.options import LOOPBACK, ServerOptions

if TYPE_CHECKING:
    from tlearn.commands.pages.label_pools import Pools
    from tlearn.pages.label.session import LabelSession

_NEXT = 50  # pictures at a time: about five minutes of a person's


@dataclass(frozen=True)
class NextPicture:
    """A picture to label next.

    Attributes:
        path: Relative to the folder, with ``/``.
        why: Why this one, in words.
        proposal: The class that a head on the labels so far says; ``None`` before two classes have labels.
        probability: Of that class; likewise.
    """

    path: str
    why: str
    proposal: str | None
    probability: float | None


def label(
    folder: str | Path,
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    next: int = _NEXT,
    out: str | Path | None = None,
    classes: Sequence[str] = (),
    host: str = LOOPBACK,
    port: int | None = None,
    token: str | None = None,
    open: bool = False,
) -> list[NextPicture]:
    """Choose which pictures to label next; show them on a page that takes the answers, until Ctrl-C.

    The answers are in ``tlearn-labels.csv`` in the folder at once; `tlearn.fit` learns from them.

    Args:
        folder: Pictures without labels, at any depth.
        config: Pictures with labels, if there are any: a folder, a table or a config, as for `tlearn.fit`.
        options: Dotted option names to values; they beat the config. Those of the network count, and those of the data.
        next: How many pictures to ask for at a time.
        out: A CSV file to write the next pictures to, in place of a page.
        classes: Names of classes, beside those that pictures have.
        host: The address to listen on. By default this machine alone reaches it.
        port: The port; by default the first free one from 8760 on.
        token: What every request has to bring; needed with any other host.
        open: Open the page in the browser.

    Returns:
        With `out` the pictures to label next, in the order in which to ask; else nothing, once the page has ended.

    Raises:
        TlearnError: There is no picture to ask for, a fault in the options, the data or the weights, or nothing can
            listen there.
    """
    with called_from_python():
        words = option_words(options)
        labelled = Arguments("label", [], words, where="in options")
        if config is not None and is_config(config):
            labelled.configs.append(config_of(config))
        elif config is not None:
            labelled.options.insert(0, str(config))
        place = None if out is None else Path(out)
        server = ServerOptions(host, port, token, open)
        asked = _Asked(Path(folder).expanduser(), labelled, next, place, tuple(classes), server)
        with _opened(asked) as (session, pools):
            if place is not None:
                return _written(session, place)
            _serve(session, asked, pools)
            return []


def run(arguments: Arguments) -> None:
    """Serve the page of a command line, or write which pictures to label next."""
    parser = VerbParser()
    server_options(parser)
    parser.option("--next", "a number", positive_int("--next"), default=_NEXT)
    parser.option("--out", "the name of a file to write", Path)
    parser.option("--classes", "names of classes", _names, default=())
    own, rest = parser.take(arguments)
    words, rest = rest.take_loose()
    if not words:
        raise TlearnError(f"label takes a folder of pictures to label, such as '{program()} label photos'")
    rest.options[:0] = words[1:]
    asked = _Asked(Path(words[0]).expanduser(), rest, own.next, own.out, own.classes, taken_server(own))
    with _opened(asked) as (session, pools):
        _print_state(session)
        if asked.out is None:
            _serve(session, asked, pools)
        else:
            print(f"{len(_written(session, asked.out))} pictures to label next: {asked.out}")
        _print_next(session, asked, pools)


class _Asked(NamedTuple):
    folder: Path
    labelled: Arguments
    next: int
    out: Path | None
    classes: tuple[str, ...]
    server: ServerOptions

    @property
    def words(self) -> list[str]:
        """What was typed of the labelled pictures and of the network."""
        return [*(config.word for config in self.labelled.configs), *self.labelled.options]


@contextmanager
def _opened(asked: _Asked) -> Iterator[tuple[LabelSession, Pools]]:
    """Look at the pictures, and choose in the background until this is left."""
    if asked.out is None:
        check_web("label")
    else:
        check_folder_of(asked.out)
    from tlearn.commands.pages.label_pools import pools_of
    from tlearn.pages.label.session import LabelSession

    pools = pools_of(asked.folder, asked.labelled)
    session = LabelSession(pools.unlabelled, pools.labelled, asked.classes, asked.next)
    try:
        yield session, pools
    finally:
        session.settle()


def _serve(session: LabelSession, asked: _Asked, pools: Pools) -> None:
    from tlearn.pages.label.routes import label_app
    from tlearn.pages.server.running import run_server

    app = label_app(session, asked.server, _fit_command(asked, pools))
    run_server(app, asked.server, f"labelling {asked.folder}")


def _written(session: LabelSession, out: Path) -> list[NextPicture]:
    found = [
        NextPicture(each["name"], each["why"], each["proposal"], each["probability"])
        for each in session.next()["items"]
    ]
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "why", "proposal", "probability"])
    for each in found:
        share = "" if each.probability is None else f"{each.probability:.4f}"
        table.writerow([*map(safe_cell, (each.path, each.why, each.proposal or "")), share])
    write_whole(out, text.getvalue().encode(errors="backslashreplace").decode())
    return found


def _print_state(session: LabelSession) -> None:
    state = session.state()
    counts = state["counts"]
    given = f", {counts['given']:,} others have one" if counts["given"] else ""
    print(f"{counts['pictures']:,} pictures in {state['folder']}, {counts['labelled']:,} with a label so far{given}")
    if state["remark"]:
        print(state["remark"])


def _print_next(session: LabelSession, asked: _Asked, pools: Pools) -> None:
    session.settle()
    state = session.state()
    counts = state["counts"]
    if state["curve"]:
        last = state["curve"][-1]
        ends = f"[{100 * last['low']:.1f}, {100 * last['high']:.1f}]"
        told = f"a head on {last['labels']:,} labels: {percent(last['score'])} {ends} right on the rest"
        print(f"{told}, by its own probabilities")
        print(state["forecast"]["text"])
    if asked.out is not None:
        print(f"next: {command_line('label', asked.folder, *asked.words)}")
        return
    print(f"{counts['labelled']:,} of {counts['pictures']:,} pictures have a label: {state['list']}")
    if counts["labelled"] and len(state["class_names"]) > 1 and (command := _fit_command(asked, pools)):
        print(f"next: {command}")


def _fit_command(asked: _Asked, pools: Pools) -> str:
    """Return what learns from the labels, also from those that were there before; nothing where a fit cannot."""
    if pools.labelled is None:
        return command_line("fit", asked.folder, *asked.words)
    if not pools.are_folders:
        return ""
    return command_line("fit", *asked.words, f"--data.init_args.also={asked.folder}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.strip("[]").split(","))))
