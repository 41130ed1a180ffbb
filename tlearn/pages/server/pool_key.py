"""Tell an open page that the server, once started anew, has other pictures by the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tlearn.base.errors import TlearnError


def pool_key(root: Path, names: Iterable[str]) -> str:
    """Return what is another one for other pictures, or the same in another order.

    Args:
        root: Their folder.
        names: Their paths relative to it, by number.
    """
    text = "\0".join([str(root.resolve()), *names])
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def check_pool(expected: str | None, found: str) -> None:
    """Refuse what a page wants of other pictures than the server has.

    Args:
        expected: The key of the page's pictures; ``None`` from a client that has just asked for the numbers.
        found: The key of the server's.

    Raises:
        TlearnError: They are not the same.
    """
    if expected is not None and expected != found:
        raise TlearnError("the pictures have changed since this page was opened: nothing is written; load it anew")
