"""A server in a process of its own, and clients that send it pictures over the loopback."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

_START_LINES = 5
_PATIENCE_S = 120  # for its end, on a busy machine


class Server(NamedTuple):
    """A server under way."""

    port: int
    process: psutil.Process


@contextmanager
def server_of(run: Path, *words: str) -> Iterator[Server]:
    """Run ``tlearn serve`` as a user does, until the context ends."""
    command = [sys.executable, "-m", "tlearn", "serve", str(run), "--no_corrections", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = (process.stdout.readline() for _ in range(_START_LINES))
            found = next(filter(None, (re.search(r"127\.0\.0\.1:(\d+)", line) for line in lines)))
            yield Server(int(found[1]), psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


class Client:
    """One connection that is kept, as browsers and sessions do."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, data: bytes) -> bytes:
        """Send a picture and return the answer."""
        kind = {"content-type": "application/octet-stream"}
        self._connection.request("POST", "/predict", data, kind)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200 or b'"error"' in content:
            raise RuntimeError(f"{answer.status}: {content[:200]!r}")
        return content


def ask_all(port: int, pictures: Sequence[bytes], clients: int) -> None:
    """Send pictures from so many clients at once, each of which waits for its answer before it sends the next."""

    def work(number: int) -> None:
        client = Client(port)
        for data in pictures[number::clients]:
            client.ask(data)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
