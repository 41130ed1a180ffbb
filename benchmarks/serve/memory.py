"""Whether a server's memory stays flat over 10,000 requests.

    python -m benchmarks.serve.memory --run RUN --photos FOLDER [--requests 10000] [--out benchmarks/serve/memory.csv]

Eight clients send photographs by turns, each request one of them; every 500 requests the resident memory is read.
"""

from __future__ import annotations

import argparse
import csv
from itertools import cycle, islice
from pathlib import Path

from benchmarks.serve.clients import ask_all, server_of

CLIENTS, STEP = 8, 500


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/serve/memory.csv"))
    own = parser.parse_args()
    photos = cycle([path.read_bytes() for path in sorted(own.photos.rglob("*.[jp][pn]g"))])
    rows = []
    with server_of(own.run) as server:
        for done in range(STEP, own.requests + 1, STEP):
            ask_all(server.port, list(islice(photos, STEP)), CLIENTS)
            about = server.process.memory_full_info()
            rows.append((done, round(about.rss / 2**20, 2), round(about.uss / 2**20, 2), server.process.num_threads()))
            with own.out.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([("requests", "rss_mib", "uss_mib", "threads"), *rows])
    first, last = next(row for row in rows if row[0] >= own.requests // 10), rows[-1]
    change = last[1] / first[1] - 1
    print(f"{first[1]:.1f} MiB after {first[0]:,} requests, {last[1]:.1f} MiB after {last[0]:,}: {change:+.2%}")


if __name__ == "__main__":
    main()
