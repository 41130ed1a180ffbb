"""Clients that keep a server waiting, send too much, or break off: all at once, until they are ended.

`python -m benchmarks.serve.rude_clients ADDRESS OF_EACH` is a process of its own: they hold up no good client's Python.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from urllib.parse import urlsplit

_HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def _half_head(client: socket.socket, ended: Event) -> None:
    client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    ended.wait(5)


def _slow_lines(client: socket.socket, ended: Event) -> None:
    client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx: ")
    while not ended.wait(0.5):
        client.sendall(b"y")


def _slow_body(client: socket.socket, ended: Event) -> None:
    client.sendall(_HEAD + b"Content-Length: 1000000\r\n\r\n")
    while not ended.wait(0.5):
        client.sendall(b"z")


def _goes_in_the_middle(client: socket.socket, ended: Event) -> None:
    client.sendall(_HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(1000))


def _endless(client: socket.socket, ended: Event) -> None:
    client.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not ended.is_set():
        client.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")


def _never_reads(client: socket.socket, ended: Event) -> None:
    client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200)
    ended.wait(5)


def _noise(client: socket.socket, ended: Event) -> None:
    client.sendall(os.urandom(5000))
    ended.wait(0.2)


RUDE: tuple[Callable[[socket.socket, Event], None], ...] = (
    _half_head,
    _slow_lines,
    _slow_body,
    _goes_in_the_middle,
    _endless,
    _never_reads,
    _noise,
)


def main(address: str, of_each: str) -> None:
    """Let so many clients of each kind do it again and again."""
    parts, ended = urlsplit(address), Event()

    def go_on(behave: Callable[[socket.socket, Event], None]) -> None:
        place = (str(parts.hostname), parts.port or 80)
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(place, timeout=5) as client:
                behave(client, ended)
            ended.wait(0.05)

    for behave in RUDE:
        for _ in range(int(of_each)):
            Thread(target=go_on, args=(behave,), daemon=True).start()
    ended.wait()


@contextmanager
def rude_clients(address: str, of_each: int) -> Iterator[None]:
    """Let so many clients of each kind be there while the context lasts."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.serve.rude_clients", address, str(of_each)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
