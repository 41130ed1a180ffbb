"""The words that every page takes: ``--host``, ``--port``, ``--token`` and ``--open``."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec

from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import VerbParser, positive_int
from tlearn.pages.server.options import LOOPBACK, ServerOptions

_MODULES = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def server_options(parser: VerbParser) -> None:
    """Let a verb take where its page is served."""
    parser.option("--host", "an address to listen on", default=LOOPBACK)
    parser.option("--port", "a number", positive_int("--port"))
    parser.option("--token", "16 or more characters")
    parser.flag("--open")


def taken_server(own: Namespace) -> ServerOptions:
    """Return where the page is served, as the words say.

    Raises:
        TlearnError: They would let others in without a token.
    """
    return ServerOptions(own.host, own.port, own.token, own.open)


def check_web(verb: str) -> None:
    """Check, before any work, that what serves a page is installed.

    Raises:
        TlearnError: It is not.
    """
    missing = [name for module, name in _MODULES.items() if find_spec(module) is None]
    if missing:
        raise TlearnError(f"{verb} needs: pip install 'tlearn[web]' (missing: {', '.join(missing)})")
