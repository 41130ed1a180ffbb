"""A newcomer's whole command, start to exit: a folder of pictures, a fixed network, its head solved.

    python -m benchmarks.speed.newcomer --root FOLDER --weights FILE --backbone timm/tf_efficientnet_lite0

Today's build and the former one run in turn, each in a fresh folder and then once more in the same, where it finds its
features. Without a folder and weights: made-up photographs and a ResNet18 with random weights; its accuracy is nothing.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.fake_photographs import write_photographs
from benchmarks.machine import Figure, as_markdown
from benchmarks.speed.former import COMMIT, REPOSITORY, environment, former_build

WANTED = "<= 0.6"
PHOTOGRAPHS = 400  # as many as there are ants and bees


class Took(NamedTuple):
    """Seconds on the clock and of the processor, and the share of validation pictures that came out right."""

    wall_s: float
    processor_s: float
    accuracy: float


def measure(
    root: Path | None = None, weights: Path | None = None, backbone: str = "resnet18", n: int = 5
) -> list[Figure]:
    """Run the command on both builds, in turn.

    Args:
        root: ``train/<class>/*.jpg`` and ``val`` likewise; made-up photographs without it.
        weights: A file of the backbone's weights; random ones without it.
        backbone: The network.
        n: How often each build begins in a fresh folder.
    """
    with tempfile.TemporaryDirectory() as there:
        place = Path(there)
        known = root is not None and weights is not None
        photographs = write_photographs(place / "photographs", PHOTOGRAPHS) if root is None else root.absolute()
        builds = {"today": REPOSITORY, COMMIT: former_build()}
        words = _command(photographs, weights, backbone)
        found: dict[tuple[str, str], list[Took]] = defaultdict(list)
        for number in range(n):
            for name, build in builds.items():
                folder = place / f"{name}{number}"
                folder.mkdir()
                for turn in ("fresh", "again"):
                    found[name, turn].append(_took(build, words, folder))
        what = f"a newcomer's whole command, {Path(photographs).name} with {backbone}"
        what += "" if known else " (made-up photographs or random weights)"
        return [
            *_figures(what, "fresh", found, known),
            *_figures(f"{what}, once more in its folder", "again", found, False),
        ]


def _figures(what: str, turn: str, found: dict[tuple[str, str], list[Took]], accuracy_counts: bool) -> list[Figure]:
    today, former = found["today", turn], found[COMMIT, turn]
    detail: dict[str, object] = {}
    for name, runs in (("today", today), (COMMIT, former)):
        for field in Took._fields:
            detail[f"{name}: {field}"] = [round(getattr(run, field), 3) for run in runs]
    wall, processor = (
        median(getattr(run, field) for run in today) / median(getattr(run, field) for run in former)
        for field in ("wall_s", "processor_s")
    )
    n, fresh = len(today), turn == "fresh"
    figures = [
        Figure(f"{what}: over {COMMIT}", wall, "x", WANTED if fresh else "", n, detail),
        Figure(f"{what}: processor seconds over {COMMIT}'s", processor, "x", "", n),
        Figure(f"{what}", median(run.wall_s for run in today), "s", "", n),
    ]
    if accuracy_counts:
        figures.append(Figure(f"{what}: accuracy", 100 * median(run.accuracy for run in today), "%", "94.1 %", n))
    return figures


def _command(photographs: Path, weights: Path | None, backbone: str) -> list[str]:
    words = ["fit", "--config", "folder.yaml", "--data.init_args.root", str(photographs), "--model.backbone", backbone]
    return [*words, "--model.weights", "null" if weights is None else str(weights.absolute())]


def _took(build: Path, words: list[str], folder: Path) -> Took:
    before_s, start_s = _children_s(), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "tlearn", *words],
        cwd=folder,
        env=environment(build),
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s, processor_s = time.perf_counter() - start_s, _children_s() - before_s
    if run.returncode:
        raise RuntimeError(f"{build.name}: {run.stderr[-2000:]}")
    newest = max((folder / "runs").glob("*/version_*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    with newest.open(encoding="utf-8", newline="") as file:
        reached = [row["val/acc"] for row in csv.DictReader(file) if row.get("val/acc")]
    return Took(wall_s, processor_s, float(reached[-1]))


def _children_s() -> float:
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, help="a folder of pictures; made-up ones without it")
    parser.add_argument("--weights", type=Path, help="weights of the backbone; random ones without it")
    parser.add_argument("--backbone", default="resnet18", help="default: %(default)s")
    parser.add_argument("-n", type=int, default=5, help="fresh folders for each build; default: %(default)s")
    options = parser.parse_args(args)
    figures = measure(options.root, options.weights, options.backbone, options.n)
    print(as_markdown(figures))
    for figure in figures:
        if figure.detail:
            print(f"\n{figure.name}:", *(f"{key} {value}" for key, value in figure.detail.items()), sep="\n  ")


if __name__ == "__main__":
    main()
