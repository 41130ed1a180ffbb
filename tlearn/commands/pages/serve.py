"""The verb ``serve``, and `tlearn.serve`: runs that answer for pictures in a browser and over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments, VerbParser, positive_int
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.settle import run_of
from tlearn.commands.pages.options import check_web, server_options, taken_server
from tlearn.pages.serve.options import ServeOptions
from tlearn.pages.server.options import LOOPBACK, ServerOptions


def serve(
    runs: str | Path | Sequence[str | Path],
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    token: str | None = None,
    open: bool = False,
    max_pictures: int = ServeOptions.max_pictures,
    max_mb: int = ServeOptions.max_mb,
    max_waiting: int = ServeOptions.max_waiting,
    corrections: bool = True,
) -> None:
    """Answer for pictures on a page and over HTTP, until Ctrl-C.

    To use a server of your own: `tlearn.pages.serve.app.app`.

    Args:
        runs: A run folder, whose best checkpoint is taken, a checkpoint, or several of them, which answer side by side.
        host: The address to listen on. By default this machine alone reaches it.
        port: The port; by default the first free one from 8760 on.
        token: What every request has to bring; needed with any other host.
        open: Open the page in the browser.
        max_pictures: How many pictures a request may bring.
        max_mb: How many MiB a request may bring.
        max_waiting: How many pictures may wait for the network; further ones are refused with status 503.
        corrections: Keep corrections that clients send, in the folder of the run.

    Raises:
        TlearnError: There is no checkpoint, it cannot be read, a value means nothing, or nothing can listen there.
    """
    with called_from_python():
        server = ServerOptions(host, port, token, open)
        options = ServeOptions(max_pictures, max_mb, max_waiting, corrections)
        _serve([runs] if isinstance(runs, (str, Path)) else list(runs), options, server)


def run(arguments: Arguments) -> None:
    """Serve the runs that a command line names."""
    parser = VerbParser()
    server_options(parser)
    parser.option("--max_pictures", "a number", positive_int("--max_pictures"), default=ServeOptions.max_pictures)
    parser.option("--max_mb", "a number", positive_int("--max_mb"), default=ServeOptions.max_mb)
    parser.option("--max_waiting", "a number", positive_int("--max_waiting"), default=ServeOptions.max_waiting)
    parser.flag("--no_corrections")
    own, rest = parser.take(arguments)
    odd = [*(f"--config {config}" for config in rest.configs), *(w for w in rest.options if w.startswith("-"))]
    if odd or not rest.options:
        got = odd[0] if odd else "none"
        raise TlearnError(f"serve takes runs, such as '{program()} serve runs/NAME/version_0', got {got}")
    runs = [run_of("serve", word) for word in rest.options]
    options = ServeOptions(own.max_pictures, own.max_mb, own.max_waiting, not own.no_corrections)
    _serve(runs, options, taken_server(own))


def _serve(runs: Sequence[str | Path], options: ServeOptions, server: ServerOptions) -> None:
    check_web("serve")
    from tlearn.base.machine import limit_threads
    from tlearn.pages.serve.app import app
    from tlearn.pages.server.running import run_server

    limit_threads()
    made = app(runs, options, server)
    run_server(made, server, f"serving {', '.join(map(str, runs))}")
