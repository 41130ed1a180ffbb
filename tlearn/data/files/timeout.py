"""A limit on how long a network may stay silent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

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
