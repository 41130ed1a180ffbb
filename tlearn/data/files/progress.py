"""A progress bar on stderr, for a terminal alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Item = TypeVar("_Item")


def tracked(items: Iterable[_Item], what: str, count: int) -> Iterable[_Item]:
    """Hand on some items and show how far it is; nothing is shown for none of them."""
    return track(items, what, count, console=Console(stderr=True), disable=not (count and sys.stderr.isatty()))
