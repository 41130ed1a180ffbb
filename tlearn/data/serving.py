"""What worker processes do with signals that reach all processes of a run, as those of SLURM and of shells do."""

from __future__ import annotations

import signal
from types import FrameType

_GRACE_S = 60


def serve_through_a_stop(worker: int) -> None:
    """Let a worker process go on at a first SIGTERM: the run needs it until its step is done, and ends it then.

    A second one ends it, and so do 60 s, should nobody else; torch would end it at once, and the run with it.

    Args:
        worker: Its number, which torch gives.
    """
    signal.signal(signal.SIGTERM, _go_on_for_now)


def _go_on_for_now(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(_GRACE_S)
