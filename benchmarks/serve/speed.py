"""Pictures a second of a served run, beside bare forward passes; and the time of one client.

    python -m benchmarks.serve.speed --run RUN --photos FOLDER [--rounds 5] [--out benchmarks/serve/speed.csv]

The server is a process of its own, which the clients ask over the loopback; they cost time on the same cores. What is
compared takes turns within each round, so that another process disturbs both alike. Seconds of the processor are those
of the process that computes: the server's, or that of the bare passes.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.serve.clients import Client, Server, ask_all, server_of
from tlearn.data.files.reading import read_and_remark
from tlearn.deploy.predictor import Predictor, load

COLUMNS = ("round", "what", "pictures", "wall_ms_per_picture", "cpu_ms_per_picture", "load")
CLIENTS, BATCHES = 32, (32, 4)
BARE, SINGLE = 32, 10  # pictures of a bare pass, and requests of one client
SERVED, FORWARD, DECODED = "served, 32 clients", "forward, batches of {}", "decode + forward, batches of {}"
ONE, BARE_ONE = "served, one client", "decode + forward of one picture"


class Table:
    """Rows as they are measured."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, int, float, float, float]] = []

    def add(self, number: int, what: str, count: int, work: Callable[[], object], server: Server | None = None) -> None:
        """Measure something that is done for so many pictures."""
        wall_s, cpu_s = time.perf_counter(), _cpu_s(server)
        work()
        wall_ms, cpu_ms = (time.perf_counter() - wall_s) / count * 1e3, (_cpu_s(server) - cpu_s) / count * 1e3
        self.rows.append((number, what, count, round(wall_ms, 3), round(cpu_ms, 3), round(os.getloadavg()[0], 2)))

    def median_of(self, what: str, column: int = 3) -> float:
        """Return the median of a column over all rounds."""
        return median(float(row[column]) for row in self.rows if row[1] == what)


def measure(run: Path, photos: Sequence[bytes], rounds: int, out: Path) -> Table:
    """Measure all of it in so many rounds, each of which is written as soon as it is done."""
    table, model = Table(), load(run)
    decoded = torch.stack([_decoded(model, data) for data in photos[:BARE]])
    few = photos[:BARE]
    with server_of(run) as server, torch.inference_mode():
        ask_all(server.port, photos, CLIENTS)  # once, for what the first times cost more
        _forward(model, decoded, BATCHES[0])
        for number in range(rounds):
            for size in BATCHES:
                table.add(number, FORWARD.format(size), BARE, partial(_forward, model, decoded, size))
            table.add(number, SERVED, len(photos), partial(ask_all, server.port, photos, CLIENTS), server)
            table.add(number, DECODED.format(BATCHES[0]), BARE, partial(_both, model, few, BATCHES[0]))
            for data in photos[:SINGLE]:
                table.add(number, ONE, 1, partial(_ask_anew, server.port, data), server)
                table.add(number, BARE_ONE, 1, partial(_both, model, [data], 1))
            with out.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([COLUMNS, *table.rows])
    return table


def said(table: Table) -> list[str]:
    """Say what came out, in ratios within one run."""
    lines = []
    for column, name in ((3, "wall"), (4, "processor")):
        served = table.median_of(SERVED, column)
        for what in (*(FORWARD.format(size) for size in BATCHES), DECODED.format(BATCHES[0])):
            bare = table.median_of(what, column)
            lines.append(
                f"{name}: {what} {bare:.1f} ms, {SERVED} {served:.1f} ms: {bare / served:.2f} of its pictures/s"
            )
        one, bare = table.median_of(ONE, column), table.median_of(BARE_ONE, column)
        lines.append(f"{name}: {BARE_ONE} {bare:.1f} ms, {ONE} {one:.1f} ms: {one / bare:.2f} times")
    return lines


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/serve/speed.csv"))
    own = parser.parse_args()
    paths = sorted(path for path in own.photos.rglob("*.jpg"))
    table = measure(own.run, [path.read_bytes() for path in islice(cycle(paths), own.count)], own.rounds, own.out)
    print("\n".join(said(table)))


def _decoded(model: Predictor, data: bytes) -> Tensor:
    return read_and_remark(data, model.framing)[0]


def _ask_anew(port: int, data: bytes) -> None:
    Client(port).ask(data)


def _forward(model: Predictor, pictures: Tensor, size: int) -> None:
    for part in pictures.split(size):
        model.module.answer(part)


def _both(model: Predictor, photos: Sequence[bytes], size: int) -> None:
    for start in range(0, len(photos), size):
        model.module.answer(torch.stack([_decoded(model, data) for data in photos[start : start + size]]))


def _cpu_s(server: Server | None) -> float:
    if server is None:
        return time.process_time()
    times = server.process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
