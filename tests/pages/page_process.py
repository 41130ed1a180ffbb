"""A page in a process of its own, as a verb starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.running import run_server


class PageProcess(NamedTuple):
    """A page that runs.

    Attributes:
        process: Its process; ``stdout`` and ``stderr`` are pipes of text.
        address: What it has printed.
        port: The port in it.
    """

    process: subprocess.Popen[str]
    address: str
    port: int


@contextmanager
def page_process(*words: str, env: Mapping[str, str] | None = None) -> Iterator[PageProcess]:
    """Start the small page below with host, port and token, each may be empty, and ``open``."""
    command = [sys.executable, "-m", "tests.pages.page_process", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (env or {})
    )
    try:
        assert process.stdout is not None
        said, _, address = process.stdout.readline().strip().partition(": ")
        assert said == "a small page", (said, process.stderr.read() if process.stderr and process.poll() else "")
        yield PageProcess(process, address, int(address.split("/")[2].rpartition(":")[2]))
    finally:
        process.kill()
        process.communicate()


async def answer(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"answered {request.method} {len(body)}")


async def large(request: Request) -> Response:
    return PlainTextResponse("x" * 30_000_000)


def _main(host: str = "127.0.0.1", port: str = "", token: str = "", opens: str = "") -> None:
    options = ServerOptions(host or "127.0.0.1", int(port) if port else None, token or None, bool(opens))
    routes = [Route("/", answer, methods=["GET", "POST"]), Route("/large", large)]
    run_server(page_app(routes, options), options, "a small page")


if __name__ == "__main__":
    _main(*sys.argv[1:])
