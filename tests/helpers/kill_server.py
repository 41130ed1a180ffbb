"""Runs the command line in forks of itself and kills them where it is told: torch is imported once, not for every run.

It reads a JSON object a line and answers with one, ``[exit code, seconds]``; the code of a killed run is -9. Keys:
``folder`` to run in, ``words`` of the command line, and where to kill the run: ``place`` and, of its visits, the
``count``-th, or ``time`` and ``seconds`` after its start; ``nowhere`` lets it end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

import tlearn.base.files
import tlearn.cli.callbacks  # so that no fork has to
import tlearn.cli.transfer_cli
from tlearn import main
from tlearn.training.module import TransferModule

# A file is met under its temporary name, and left half-written: features, checkpoints, config, card.
PLACES: dict[str, tuple[Any, str]] = {
    "step": (TransferModule, "training_step"),
    "validation": (TransferModule, "validation_step"),
    "file": (tlearn.base.files, "on_disk"),
}


def die_at(place: str, count: int) -> None:
    """Kill this process and its workers at the so-many-th visit of a place."""
    owner, name = PLACES[place]
    call, visits = getattr(owner, name), [0]

    def counted(*args: Any, **options: Any) -> Any:
        visits[0] += 1
        if visits[0] == count:
            if place == "file":
                os.truncate(args[0], Path(args[0]).stat().st_size // 2)
            os.killpg(0, signal.SIGKILL)
        return call(*args, **options)

    setattr(owner, name, counted)


def run_here(order: dict[str, Any]) -> int:
    """Do what is ordered, in the fork."""
    os.setsid()
    os.chdir(order["folder"])
    with Path("output.txt").open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    if order["place"] in PLACES:
        die_at(order["place"], order["count"])
    code = main(order["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(order: dict[str, Any]) -> tuple[int, float]:
    """Fork, wait, kill when it is time."""
    start_s = time.monotonic()
    process = os.fork()
    if process == 0:
        os._exit(run_here(order))
    ended, status = 0, 0
    while not ended:
        if order["place"] == "time" and time.monotonic() - start_s > order["seconds"]:
            os.kill(process, signal.SIGKILL)
        ended, status = os.waitpid(process, os.WNOHANG)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(status), time.monotonic() - start_s


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
