"""Do not wait for minutes for a network that is off."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT_S = 10.0  # without an answer for so long the network counts as off; torchvision would wait for minutes


@contextmanager
def short_timeout() -> Iterator[None]:
    """Let connections give up soon."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
