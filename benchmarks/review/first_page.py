"""Measure how soon the first page of `review` is there: 10,000 pictures whose features are in the cache.

    python -m benchmarks.review.first_page --root DATA --weights FILE --work FOLDER --out first_page.csv [--runs 5]

DATA holds ``cifar/``, see `benchmarks.believe.features`; FILE is EfficientNet-Lite0, as timm names it. The clock starts
when all is imported, with the words of the command line, and stops when the first 50 pictures are there with their
neighbours. Every run is a process of its own. The network sees 32 px, so that the features are there soon; they are
1,280 as ever.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from PIL import Image

from benchmarks.advise.images import SOURCES

_PICTURES = 10_000


def write_pictures(root: Path, folder: Path) -> None:
    """Write a folder for each class, once."""
    if folder.exists():
        return
    class_names, (pixels, targets), _ = SOURCES["cifar10"](root)
    for number, (picture, target) in enumerate(zip(pixels[:_PICTURES], targets[:_PICTURES], strict=True)):
        place = folder / class_names[int(target)] / f"{number:05d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(place)


def measured(words: list[str]) -> None:
    """Open a session in this process, and print wall and CPU seconds."""
    from tlearn.cli.arguments import split_arguments
    from tlearn.cli.targets.settle import with_target
    from tlearn.commands.pages.review import _session

    import_module("timm")
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    session = _session(with_target(split_arguments(words)))
    assert len(session.items(count=50)["items"]) == 50
    print(f"MEASURED {time.perf_counter() - start_s:.3f} {time.process_time() - start_cpu_s:.3f}", flush=True)
    os._exit(0)  # the map need not be waited for


def main() -> None:
    """Measure, after one run that fills the cache."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--words", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    out, work = given.out.absolute(), given.work.absolute()
    write_pictures(given.root, work / "cifar")
    words = ["review", "cifar", "--model.backbone=timm/tf_efficientnet_lite0", "--model.image_size=32"]
    words += [f"--model.weights={given.weights.absolute()}", "--trainer.accelerator=cpu"]
    command = [sys.executable, "-c", f"from benchmarks.review.first_page import measured; measured({words!r})"]
    rows = []
    for number in range(given.runs + 1):
        done = subprocess.run(
            command, cwd=work, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True
        )
        found = [line for line in done.stdout.splitlines() if line.startswith("MEASURED")]
        assert found, done.stderr
        wall_s, cpu_s = map(float, found[0].split()[1:])
        print(
            "first, which fills the cache" if not number else f"run {number}",
            wall_s,
            cpu_s,
            os.getloadavg()[0],
            flush=True,
        )
        if number:
            rows.append((number, wall_s, cpu_s, os.getloadavg()[0]))
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "wall_s", "cpu_s", "load_average"])
        writer.writerows(rows)
    wall_s, cpu_s = (statistics.median(row[place] for row in rows) for place in (1, 2))
    print(f"median of {len(rows)}: {wall_s:.2f} s, {cpu_s:.2f} s of CPU")


if __name__ == "__main__":
    main()
