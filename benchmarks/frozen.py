"""A frozen ResNet18 and a new head, 20 epochs: how long in tlearn, and how long otherwise?

    python -m benchmarks.frozen --root DATA --size 32
    python -m benchmarks.frozen --root DATA --size 224

``DATA`` holds CIFAR-10 as torchvision keeps it (any copy: checksums are taken as they are); without it the images are
random, and accuracies mean nothing. The weights are random ones, the same for all. The clock starts when data and
network are ready, for tlearn as for the loops, and stops at the end of the call: features, logs and checkpoints of
tlearn are in it. "The same again" counts from the first step to the last, with the features in the cache; what comes
before, start-up, is told beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torchvision.models import resnet18

from benchmarks.command import run_command
from benchmarks.epoch_clock import FitClock
from benchmarks.fake_cifar import accept_checksums, write_fake_cifar10
from benchmarks.frozen_loops import Job, Outcome, Split, hand_written_frozen, lightning_frozen, tutorial_frozen
from benchmarks.machine import Figure

# Training images a class and share of validation: 10,000 + 2,000 images, and 1,000 + 200.
SIZES = {32: (1000, 0.04), 224: (100, 0.004)}
EPOCHS = 20


@contextmanager
def data_at(root: Path | None) -> Iterator[Path]:
    """CIFAR-10 where it lies, or 50,000 random images of its kind for as long as the context lasts."""
    if root is not None:
        accept_checksums(root)
        yield root.absolute()
        return
    with tempfile.TemporaryDirectory() as folder:
        write_fake_cifar10(Path(folder), 50_000)
        yield Path(folder)


@contextmanager
def elsewhere() -> Iterator[Path]:
    """An empty working folder, so that no cache is found and no run left."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def save_weights(folder: Path) -> Path:
    """A ResNet18 of random weights, the same each time."""
    torch.manual_seed(0)
    path = folder / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


def words(root: Path, weights: Path, size_px: int) -> list[str]:
    """The command line of the job."""
    per_class, share = SIZES[size_px]
    found = ["fit", "--config", "feature_extractor.yaml", "--data.root", str(root), "--model.weights", str(weights)]
    found += ["--data.train_per_class", str(per_class), "--data.val_fraction", str(share)]
    found += ["--model.image_size", str(size_px)] if size_px != 32 else []
    return found


class Run(NamedTuple):
    """What a call of tlearn took, and the accuracy on validation after its last epoch.

    Attributes:
        call_s: All of it.
        fit_s: From data and network ready to the end.
        steps_s: From the first step to the last, with validation and checkpoints.
        accuracy: Right answers over validation images.
    """

    call_s: float
    fit_s: float
    steps_s: float
    accuracy: float


def run_tlearn(arguments: list[str]) -> Run:
    """Run the command line in this process."""
    start_s = time.perf_counter()
    run_command([*arguments, "--trainer.callbacks+=benchmarks.epoch_clock.FitClock"])
    end_s = time.perf_counter()
    checkpoint = max(Path("runs").rglob("last.ckpt"), key=lambda path: path.stat().st_mtime)
    states = torch.load(checkpoint, weights_only=True)["callbacks"]
    score = next(s["current_score"] for name, s in states.items() if name.startswith("BestCheckpoint"))
    return Run(end_s - start_s, end_s - FitClock.ready_s, FitClock.ended_s - FitClock.began_s, float(score))


def job_of(root: Path, weights: Path, size_px: int) -> Job:
    """The same images as tlearn trains and validates on."""
    from tlearn.data.sources.cifar10 import CIFAR10DataModule

    per_class, share = SIZES[size_px]
    data = CIFAR10DataModule(root=str(root), train_per_class=per_class, val_fraction=share)
    data.setup("fit")
    splits: list[Any] = [data.dataset(split) for split in ("train", "val")]  # in memory
    train, val = (Split(s.images[s.indices], s.targets[s.indices]) for s in splits)
    return Job(train, val, torch.load(weights, weights_only=True), 10, size_px, EPOCHS)


def measure(root: Path | None, size_px: int, repeats: int, peers: bool) -> list[Figure]:
    """Run everybody, and relate them to the tutorial's loop."""
    with data_at(root) as data, elsewhere() as folder:
        weights = save_weights(folder)
        job, arguments = job_of(data, weights, size_px), words(data, weights, size_px)
        run_tlearn([*arguments, "--trainer.max_epochs", "1", "--data.train_per_class", "10"])  # lazy imports
        cold, warm = [], []
        for number in range(repeats):
            cold.append(run_tlearn([*arguments, "--model.feature_cache", "refresh"]))
            warm.append(run_tlearn([*arguments, "--model.optimizer.init_args.lr", str(0.002 + 0.001 * number)]))
        hand = [hand_written_frozen(job) for _ in range(repeats)]
        rest = {"the tutorial's loop": _tutorial(job)}
        if peers:
            rest["plain Lightning"] = lightning_frozen(job, 2)
    return _figures(size_px, cold, warm, {"hand-written loop": hand, **{name: [x] for name, x in rest.items()}})


def _tutorial(job: Job) -> Outcome:
    brief = job._replace(train=Split(*(x[:640] for x in job.train)), epochs=2)
    workers = min((0, 2), key=lambda number: tutorial_frozen(brief, number).time_s)
    print(f"the tutorial's loop is faster with {workers} workers", file=sys.stderr)
    return tutorial_frozen(job, workers)


def _figures(
    size_px: int,
    cold: list[Run],
    warm: list[Run],
    others: dict[str, list[Outcome]],
) -> list[Figure]:
    whole_s, steps_s = median(run.fit_s for run in cold), median(run.steps_s for run in warm)
    start_up_s = median(run.call_s - run.steps_s for run in warm)
    base = others["the tutorial's loop"][0]
    name = f"frozen, {EPOCHS} epochs, {size_px} px"
    detail: dict[str, object] = {"tlearn s": whole_s, "tlearn val_acc": cold[0].accuracy}
    detail["tlearn s, the whole call"] = median(run.call_s for run in cold)
    for other, outcomes in others.items():
        detail |= {f"{other} s": median(x.time_s for x in outcomes), f"{other} val_acc": outcomes[0].accuracy}
    wanted = {32: (">= 50", "", {"hand-written loop": ">= 0.75"}), 224: (">= 40", ">= 300", {})}[size_px]
    return [
        Figure(f"{name}: the tutorial's loop over tlearn", base.time_s / whole_s, "x", wanted[0], len(cold), detail),
        Figure(
            f"{name}: the same with another learning rate, start-up left out",
            base.time_s / steps_s,
            "x",
            wanted[1],
            len(warm),
            {"steps s": steps_s, "start-up s, imports not in it": start_up_s},
        ),
        *(
            Figure(
                f"{name}: {other} over tlearn",
                median(x.time_s for x in outcomes) / whole_s,
                "x",
                wanted[2].get(other, ""),
                len(outcomes),
            )
            for other, outcomes in others.items()
            if other != "the tutorial's loop"
        ),
    ]


def main(args: list[str] | None = None) -> None:
    """Measure one size, print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frozen", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, help="CIFAR-10; random images without it")
    parser.add_argument("--size", type=int, choices=SIZES, default=32)
    parser.add_argument("--repeats", type=int, default=3, help="of tlearn and the hand-written loop")
    parser.add_argument("--no-peers", action="store_true", help="leave plain Lightning out")
    options = parser.parse_args(args)
    for figure in measure(options.root, options.size, options.repeats, not options.no_peers):
        print(f"{figure.name}: {figure.value:.1f} {figure.unit} {figure.wanted}  {figure.detail}")


if __name__ == "__main__":
    main()
