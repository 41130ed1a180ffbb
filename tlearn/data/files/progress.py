"""Downloads and long loops: a progress line, and a limit on how long a network may stay silent."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Item = TypeVar("_Item")


def tracked(items: Iterable[_Item], what: str, count: int) -> Iterable[_Item]:
    """Yield the items and show a progress bar in a terminal, unless there are none."""
    return track(items, what, count, console=Console(stderr=True), disable=not (count and sys.stderr.isatty()))


TIMEOUT_S = 10.0  # torchvision itself would wait for minutes


@contextmanager
def short_timeout() -> Iterator[None]:
    """Let connections give up after `TIMEOUT_S` without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
