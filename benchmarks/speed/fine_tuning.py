"""Fine-tuning ResNet18 on a folder of photographs: against the tutorial's loop, the best plain one, and the machine.

    python -m benchmarks.speed.fine_tuning --root FOLDER    # FOLDER/train/<class>/*.jpg; made-up photographs without it

Every run has a process of its own, as a user's command has, so that its peak of memory can be told. The runs take
turns, every second round backwards. Start-up, validation, checkpoints and the end of a run are not counted, nor is the
first epoch of a run, in which kernels are chosen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from benchmarks.fake_photographs import write_photographs
from benchmarks.machine import Figure, load_now, peak_gflop_s, print_figures
from benchmarks.speed.former import REPOSITORY, former_build, in_build

SIZES_PX = (224, 128)
_WANTED_TUTORIAL, _WANTED_LOOP, _WANTED_MEMORY = ">= 2.5", ">= 0.98", "<= 0.8"

_LOOP = """
import json, sys
from pathlib import Path
from benchmarks.speed import photograph_loops
name, root, size_px, epochs = sys.argv[1:]
print(json.dumps({"rates": getattr(photograph_loops, name)(Path(root), int(size_px), int(epochs))}))
"""

_COMMAND = """
import json, sys
from contextlib import redirect_stdout
sys.argv = ["tlearn", *sys.argv[1:]]
from tlearn.cli import main
with redirect_stdout(sys.stderr):
    code = main()
assert code == 0, code
from benchmarks.epoch_clock import EpochClock
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
print(json.dumps({"rates": EpochClock.rates, "peak_bytes": peak}))
"""


@dataclass
class Runs:
    """What the runs of one side gave.

    Attributes:
        rates: Training images per second, of each epoch that counts.
        peaks_mb: The most memory that each process had, in MB; empty for loops.
    """

    rates: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)


def measure(
    root: Path | None = None,
    images: int = 128,
    n: int = 6,
    sizes_px: tuple[int, ...] = SIZES_PX,
    former: bool = True,
) -> list[Figure]:
    """Measure all of it.

    Args:
        root: Folder with ``train/<class>``; made-up photographs without it.
        images: How many to make up.
        n: Epochs of each side that count, in two rounds or more.
        sizes_px: What the network sees.
        former: Compare the memory with the former build's, which a shallow clone does not hold.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        photographs = (write_photographs(folder / "photographs", images) if root is None else root).absolute()
        return [figure for size_px in sizes_px for figure in _at(photographs, folder, size_px, n, former)]


def _at(root: Path, folder: Path, size_px: int, n: int, former: bool) -> list[Figure]:
    rounds = 2
    epochs = 1 + -(-n // rounds)
    sides: dict[str, Callable[[], dict[str, list[float] | float]]] = {
        "tutorial": lambda: in_build(REPOSITORY, _LOOP, folder, "tutorial", str(root), str(size_px), str(epochs)),
        "hand-written": lambda: in_build(
            REPOSITORY, _LOOP, folder, "hand_written", str(root), str(size_px), str(epochs)
        ),
        "tlearn": lambda: in_build(REPOSITORY, _COMMAND, folder, *_words(root, size_px, epochs)),
    }
    if former:
        sides["former"] = lambda: in_build(former_build(), _COMMAND, folder, *_words(root, size_px, epochs))
    found = {name: Runs() for name in sides}
    peaks = [peak_gflop_s()]
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            result = sides[name]()
            rates, peak = result["rates"], result.get("peak_bytes")
            assert isinstance(rates, list)
            found[name].rates += rates[1:]
            if isinstance(peak, (int, float)):
                found[name].peaks_mb.append(peak / 1e6)
            print(f"{size_px} px, round {number + 1}: {name} {median(rates[1:]):.1f} images/s", file=sys.stderr)
        peaks.append(peak_gflop_s())
    return _figures(found, size_px, median(peaks))


def _words(root: Path, size_px: int, epochs: int) -> list[str]:
    """What a user types to fine-tune on a folder, in words that both builds know; random weights for want of others."""
    words = ["fit", "--config", "finetune.yaml", "--data", "ImageFolderDataModule", "--data.root", str(root)]
    words += ["--model.weights", "null", "--trainer.max_epochs", str(epochs)]
    words += ["--model.image_size", str(size_px)]
    return [*words, "--trainer.callbacks+=benchmarks.epoch_clock.EpochClock"]


def _figures(found: dict[str, Runs], size_px: int, peak: float) -> list[Figure]:
    middle = {name: median(runs.rates) for name, runs in found.items()}
    counted = len(found["tlearn"].rates)
    rates = {f"{name}, images/s": value for name, value in middle.items()}
    every = {f"{name}, each": [round(rate, 2) for rate in runs.rates] for name, runs in found.items()}
    what = f"fine-tuning ResNet18 on photographs at {size_px} px"
    ours, operations = middle["tlearn"], training_operations(size_px)
    figures = [
        Figure(f"{what}: tlearn over the tutorial's loop", ours / middle["tutorial"], "x", _WANTED_TUTORIAL, counted,
               {**rates, **every}),
        Figure(f"{what}: tlearn over the best hand-written loop", ours / middle["hand-written"], "x", _WANTED_LOOP,
               counted, {**rates}),
        Figure(f"{what}: operations against the matrix product", ours * operations / 1e9 / peak, "of the peak", "",
               counted, {"GFLOP an image": operations / 1e9, "peak GFLOP/s": peak}),
    ]  # fmt: skip
    if "former" in found:
        own, before = (median(found[name].peaks_mb) for name in ("tlearn", "former"))
        detail: dict[str, object] = {"MB": found["tlearn"].peaks_mb, "former MB": found["former"].peaks_mb}
        runs = len(found["former"].peaks_mb)
        figures.append(Figure(f"{what}: peak memory over the former build's", own / before, "x", _WANTED_MEMORY, runs,
                              detail))  # fmt: skip
        figures.append(Figure(f"{what}: tlearn over the former build", ours / middle["former"], "x", "", counted))
    return figures


def training_operations(size_px: int) -> int:
    """Floating-point operations of a training step for one image, forward and backward."""
    network = resnet18(weights=None)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, size_px, size_px)).sum().backward()
    return int(counter.get_total_flops()) // 2


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.fine_tuning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--root", type=Path, help="photographs; made-up ones without it")
    parser.add_argument("--images", type=int, default=128, help="how many to make up; default: %(default)s")
    parser.add_argument("--n", type=int, default=6, help="epochs that count; default: %(default)s")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES_PX, help="pixels; default: 224 128")
    parser.add_argument("--no-former", action="store_true", help="leave the former build out")
    options = parser.parse_args(args)
    load_now()
    figures = measure(options.root, options.images, options.n, tuple(options.sizes), not options.no_former)
    print_figures(figures, details=True)


if __name__ == "__main__":
    main()
