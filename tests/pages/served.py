"""A page's application on a free port, in a thread of the test's own process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from starlette.types import ASGIApp

from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.running import PageServer, address_of, listening


def free_port() -> int:
    """Return a port that nobody has, for a server that comes back: the usual ones are those of other tests, too."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@contextmanager
def served(app: ASGIApp, options: ServerOptions | None = None) -> Iterator[str]:
    """Serve an application of `page_app` as the verbs do, and give its address, such as ``http://127.0.0.1:8760/``."""
    options = options or ServerOptions()
    with listening(options) as door:
        address, server = address_of(options, door.getsockname()[1]), PageServer(app)
        thread = Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield address
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive(), "the server does not end"
