"""Serve a page until Ctrl-C, and say where it is."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import warnings
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread, current_thread, main_thread
from types import FrameType
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from tlearn.base.errors import TlearnError
from tlearn.pages.server.options import FIRST_PORT, LOOPBACK, ServerOptions
from tlearn.pages.server.patience import IDLE_S, PatientProtocol

_TRIED_PORTS = 50
_WAITING = 128  # connections that wait to be taken
_PATIENCE_S = 3  # for answers under way when it ends
_ENDING = (signal.SIGINT, signal.SIGTERM)


class PageServer(uvicorn.Server):
    """uvicorn's server, which ends on Ctrl-C and SIGTERM as on a wish, not as on a fault.

    Args:
        app: From `page_app`.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="none",
                loop="asyncio",
                # Its own words, such as those on each bad request, would let a client fill the terminal.
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # else a client could say where it comes from
                timeout_graceful_shutdown=_PATIENCE_S,
                timeout_keep_alive=IDLE_S,  # after its own 5 s, clients of a busy machine met a broken pipe
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them anew when it has ended, and SIGTERM would kill."""
        yield

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """End on the two signals; outside of the main thread Python lets nobody ask for them."""
        if current_thread() is not main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as uvicorn does, and close the connections that are left when the patience is over, as it does not."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # a transport closes in the next turn of the loop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End when the answers under way are given; with a second signal at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def run_server(app: ASGIApp, options: ServerOptions, what: str) -> None:
    """Serve an application until Ctrl-C.

    Args:
        app: From `page_app`.
        options: Where.
        what: What is served, in words, for the line that is printed.

    Raises:
        TlearnError: Nothing can listen there.
    """
    server = PageServer(app)
    with listening(options) as door, server.ended_by_signals(), _quiet():
        address = address_of(options, door.getsockname()[1])
        beyond = _beyond(options, door.getsockname()[1])
        print(f"{what}: {address}{beyond}\nCtrl-C ends it", flush=True)
        if options.opens:
            Thread(target=_open, args=(address,), daemon=True).start()  # a browser for terminals would not return
        server.run(sockets=[door])
    print("\nended", flush=True)


def _beyond(options: ServerOptions, port: int) -> str:
    """Say where other machines find what listens on all addresses of this one."""
    if options.host not in ("0.0.0.0", "::"):
        return ""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect(
                ("2001:db8::1" if ":" in options.host else "192.0.2.1", 9)
            )  # sends nothing: it only asks which way
        except OSError:  # there is no network
            return ""
        return f"\nfrom other machines: {address_of(replace(options, host=way.getsockname()[0]), port)}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries say of odd files and forms from the terminal: every client could fill it."""
    logger = logging.getLogger("python_multipart")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            for name in ("PIL", "tifffile", "imagecodecs", "pillow_heif"):
                warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
            yield
    finally:
        logger.setLevel(before)


def address_of(options: ServerOptions, port: int) -> str:
    """Return what to open in a browser, with the token if there is one."""
    host = LOOPBACK if options.host in ("0.0.0.0", "::", "localhost") else options.host
    token = f"?token={quote(options.token, safe='')}" if options.token else ""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}"


def listening(options: ServerOptions) -> socket.socket:
    """Return a socket that takes connections from now on.

    Raises:
        TlearnError: Nothing can listen there.
    """
    ports = [options.port] if options.port else range(FIRST_PORT, FIRST_PORT + _TRIED_PORTS)
    for port in ports:
        try:
            return _door(options.host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise TlearnError(f"cannot listen on {options.host}, port {port}: {error.strerror or error}") from error
    if options.port:
        raise TlearnError(f"port {options.port} is taken; end what uses it, or leave out --port")
    raise TlearnError(f"the ports {FIRST_PORT} to {FIRST_PORT + _TRIED_PORTS - 1} are taken; name another: --port 9000")


def _open(address: str) -> None:
    if not webbrowser.open(address):
        print("no browser was found here: open the address yourself", file=sys.stderr, flush=True)


def _door(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio lets the body of each answer wait up to 40 ms for the client's word on its head (Nagle).
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(_WAITING)  # now, not when uvicorn comes to it: another process could still take the port
    except BaseException:
        door.close()
        raise
    return door
