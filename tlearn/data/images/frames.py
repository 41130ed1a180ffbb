"""Pictures that were decoded and framed, kept for whoever asks for them again in the same process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.data import get_worker_info

MOST_BYTES = 2**26  # 445 pictures of 224 px


class Frames:
    """The first pictures of a source that are asked for, as many as fit.

    A run on cached features decodes each picture for its features; its pages, the projector and what is measured of
    training pictures need many of them again. Worker processes keep none: each would have its own.

    Args:
        most_bytes: What they may take together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = self._left_bytes = most_bytes
        self._found: dict[tuple[int, str], Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Send no picture to another process."""
        return {"_most_bytes": self._most_bytes, "_left_bytes": self._most_bytes, "_found": {}}

    def get(self, row: int, read: Callable[[], Tensor], state: str = "") -> Tensor:
        """Return a picture, which nobody may change; it is read where it is not kept.

        Args:
            row: Its position in the source.
            read: Reads it.
            state: A text that changes when the picture is replaced.
        """
        found = self._found.get((row, state))
        if found is None:
            found = read()
            if found.nbytes <= self._left_bytes and get_worker_info() is None:
                self._left_bytes -= found.nbytes
                self._found[row, state] = found
        return found
