"""Send `tlearn serve` 10,000 damaged pictures, then let rude clients at it: who else is served, and how soon?

`python -m benchmarks.serve.hostile RUN` starts `tlearn serve RUN` in a process of its own and prints a table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO

import psutil

from benchmarks.serve.hostile_uploads import Answered, ask, form_of, uploads
from benchmarks.serve.rude_clients import RUDE, rude_clients
from tests.helpers.hostile_files import encoded

_EVERY = 100  # uploads between two good pictures
_CLIENTS = 4


@dataclass
class Server:
    """A server in a process of its own.

    Attributes:
        process: It.
        address: What it printed.
        said: What it says as errors.
    """

    process: subprocess.Popen[str]
    address: str
    said: IO[str]

    def memory(self) -> float:
        """Return the MB that it holds."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 1e6)


@dataclass
class Found:
    """What came of it.

    Attributes:
        statuses: How often each HTTP status came.
        faults: What was wrong; nothing should be.
        memory: MB after each hundredth of the uploads.
        times_s: Of good pictures meanwhile.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    """Start what prints the address of a page, and end it."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "http://" in line:
                    yield Server(process, "http://" + line.strip().partition("http://")[2], said)
                    return
            said.seek(0)
            raise RuntimeError(f"it did not start: {said.read()}")
        finally:
            process.kill()
            process.communicate()


def send_all(server: Server, count: int, seed: int) -> Found:
    """Send damaged pictures from several clients, and a good one every hundred, whose answer must stay the same."""
    found, good = Found(), form_of(b"good.jpg", encoded("JPEG", 64))
    wanted = ask(server.address, True, good)
    found.faults += wanted.faults
    with ThreadPoolExecutor(_CLIENTS) as clients:
        bodies, sent = uploads(count, seed), 0
        while part := [body for _, body in zip(range(_EVERY), bodies, strict=False)]:
            for answered in clients.map(lambda body: ask(server.address, *body), part):
                found.statuses[answered.status] += 1
                found.faults += [f"of the {_EVERY} from {sent} on: {fault}" for fault in answered.faults]
            sent += len(part)
            _ask_good(server, good, wanted, found)
            found.memory.append(server.memory() if server.process.poll() is None else 0.0)
            if server.process.poll() is not None:
                found.faults.append(f"the server ended with {server.process.returncode} before {sent}")
                break
    return found


def serve_beside(server: Server, of_each: int, time_s: float) -> Found:
    """Ask for good pictures while rude clients are there."""
    found, good = Found(), form_of(b"good.jpg", encoded("JPEG", 64))
    wanted, end = ask(server.address, True, good), time.monotonic() + time_s
    found.memory.append(server.memory())
    with rude_clients(server.address, of_each):
        while time.monotonic() < end:
            _ask_good(server, good, wanted, found)
            time.sleep(0.05)
    _ask_good(server, good, wanted, found)
    found.memory.append(server.memory())
    return found


def _ask_good(server: Server, good: bytes, wanted: Answered, found: Found) -> None:
    start = time.perf_counter()
    answered = ask(server.address, True, good)
    found.times_s.append(time.perf_counter() - start)
    if answered != wanted or wanted.status != 200:
        found.faults.append(f"a good picture got {answered}")


def main(words: list[str] | None = None) -> None:
    """Do it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rude", type=int, default=10, help="clients of each kind")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long rude clients are there")
    own = parser.parse_args(words)
    with serving(sys.executable, "-m", "tlearn", "serve", str(own.run)) as server:
        start = time.perf_counter()
        sent = send_all(server, own.uploads, own.seed)
        took_s = time.perf_counter() - start
        beside = serve_beside(server, own.rude, own.seconds)
        server.said.seek(0)
        said = server.said.read().splitlines()
    tenth = max(1, len(sent.memory) // 10)
    memory = ", ".join(f"{each:.0f}" for each in sent.memory[tenth - 1 :: tenth])
    print("| what | found |\n| --- | --- |")
    print(f"| damaged uploads | {sum(sent.statuses.values()):,} in {took_s:.0f} s, statuses {dict(sent.statuses)} |")
    print(f"| faults | {len(sent.faults)} |")
    print(f"| memory after each tenth | {memory} MB |")
    print(f"| good pictures meanwhile | {len(sent.times_s)}, median {1e3 * median(sent.times_s):.0f} ms |")
    beside_ms, rude = [1e3 * each for each in beside.times_s], own.rude * len(RUDE)
    times = f"median {median(beside_ms):.0f} ms, slowest {max(beside_ms):.0f} ms"
    print(f"| good pictures beside {rude} rude clients | {len(beside_ms)}, {times} |")
    print(f"| faults | {len(beside.faults)} |")
    print(f"| memory before and after | {beside.memory[0]:.0f} MB, {beside.memory[-1]:.0f} MB |")
    print(f"| lines on the server's terminal | {len(said)} |")
    for line in [*sent.faults, *beside.faults, *said][:20]:
        print(line)
    sys.exit(bool(sent.faults or beside.faults))


if __name__ == "__main__":
    main()
