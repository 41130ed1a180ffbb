"""Run tlearn's command line in this process, as the benchmarks time it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from benchmarks.epoch_clock import EpochClock


def run_command(words: Sequence[str]) -> None:
    """Run ``tlearn`` with these words; what it prints goes to stderr. Raises RuntimeError when it fails."""
    from tlearn.cli import main

    with redirect_stdout(sys.stderr):
        status = main(words)
    if status:
        raise RuntimeError(f"tlearn returned {status}: {shlex.join(words)}")


def epoch_rates(words: Sequence[str]) -> list[float]:
    """Training images per second of each epoch of ``tlearn fit`` with these words."""
    EpochClock.rates.clear()
    run_command(["fit", *words, "--trainer.callbacks+=benchmarks.epoch_clock.EpochClock"])
    return list(EpochClock.rates)
