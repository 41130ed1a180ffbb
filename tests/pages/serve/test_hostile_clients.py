"""A served network answers the same to the bit, whatever others send: a small share of `benchmarks.serve.hostile`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.serve.hostile import Server, send_all, serve_beside, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(finished_run: Path) -> Iterator[Server]:
    run = finished_run / "runs/folder/version_0"
    with serving(sys.executable, "-m", "tlearn", "serve", str(run)) as started:
        yield started


def test_damaged_pictures_get_reasons_of_one_line(server: Server) -> None:
    sent = send_all(server, 400, seed=1)
    assert sent.faults == []
    assert set(sent.statuses) == {200, 400}
    assert sent.statuses[200] > 300
    assert len(sent.times_s) == 4


def test_rude_clients_hold_nobody_up(server: Server) -> None:
    beside = serve_beside(server, of_each=3, time_s=5)
    assert beside.faults == []
    assert max(beside.times_s) < 5


def test_it_ends_cleanly_afterwards(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    assert server.process.stdout is not None
    assert server.process.stdout.read() == "Ctrl-C ends it\n\nended\n"
    assert server.process.wait(60) == 0
    assert time.monotonic() - start < 30  # mostly Python, which takes torch apart
    server.said.seek(0)
    lines = [line for line in server.said.read().splitlines() if not line.startswith("tempfile.tif")]  # libtiff's own
    assert lines == []
