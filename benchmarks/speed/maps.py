"""Epochs of a network some of whose stages are frozen, against the former build: the frozen part once, or each time.

    python -m benchmarks.speed.maps --only resnet18-224

Both builds train the same network on the same images, in turn, in processes of their own. The figure is the median of
the epochs' rates of each, from the first step to the last; start-up, validation and the first epoch are left out. What
keeping the maps costs once is told beside it. Random weights: they cost what ImageNet's do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.fake_cifar import write_fake_cifar10
from benchmarks.fake_photographs import write_photographs
from benchmarks.machine import Figure, as_markdown
from benchmarks.speed.former import REPOSITORY, former_build, in_build

_CODE = """
import json, sys
from benchmarks.command import epoch_rates
from benchmarks.fake_cifar import accept_checksums
from benchmarks.epoch_clock import FitClock
from pathlib import Path
words = json.loads(sys.argv[1])
if sys.argv[2]:
    accept_checksums(Path(sys.argv[2]))
rates = epoch_rates([*words, "--trainer.callbacks+=benchmarks.epoch_clock.FitClock"])
print(json.dumps({"rates": rates, "before_s": FitClock.began_s - FitClock.ready_s}))
"""


@dataclass(frozen=True)
class Case:
    """One network, what of it is frozen, and what it sees.

    Attributes:
        name: As typed after ``--only``.
        options: Of the command line.
        is_photographs: JPEG files in place of CIFAR-10's.
        images: How many train.
        epochs: Of each run, the first not counted.
        wanted: The ratio that it should reach.
    """

    name: str
    options: tuple[str, ...]
    is_photographs: bool
    images: int
    epochs: int
    wanted: float


CASES = (
    Case("resnet18-224 layer3", ("--model.freeze_until", "layer3"), True, 160, 4, 2.2),
    Case("resnet18-32 layer2", ("--model.freeze_until", "layer2"), False, 4000, 4, 1.3),
    Case("resnet18-32 layer3", ("--model.freeze_until", "layer3"), False, 4000, 4, 1.8),
    Case(
        "vit_tiny-224 two blocks",
        (*("--model.backbone", "timm/vit_tiny_patch16_224", "--model.freeze_until", "stage10"),),
        True,
        160,
        4,
        3.0,
    ),
)


def measure(n: int = 3, only: str = "", scale: float = 1.0) -> list[Figure]:
    """Train each case on both builds in turn.

    Args:
        n: How often each build trains; every run gives all its epochs but the first.
        only: Beginning of the names of the cases; all by default.
        scale: Of the numbers of images.
    """
    builds = {"former": former_build(), "today": REPOSITORY}
    figures = []
    for case in CASES:
        if not case.name.startswith(only):
            continue
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            words = _words(case, root, max(64, int(case.images * scale)))
            for number in range(n):
                for name in list(builds)[:: -1 if number % 2 else 1]:
                    place = root / f"{name}{number}"
                    place.mkdir()  # a cache of its own
                    given = "" if case.is_photographs else str(root)
                    found[name].append(in_build(builds[name], _CODE, place, words, given))
        rates = {name: [rate for run in runs for rate in run["rates"][1:]] for name, runs in found.items()}
        detail: dict[str, object] = {f"{name} images/s": median(each) for name, each in rates.items()}
        detail |= {
            f"{name} before the first step, s": median(r["before_s"] for r in runs) for name, runs in found.items()
        }
        value = median(rates["today"]) / median(rates["former"])
        count = len(rates["today"])
        figures.append(
            Figure(f"an epoch, {case.name} frozen: today over 7c19e8f", value, "x", f">= {case.wanted}", count, detail)
        )
    return figures


def _words(case: Case, root: Path, images: int) -> str:
    config = root / "run.yaml"
    given: dict[str, object] = {"seed_everything": 0, "model": {"weights": None}}
    given["trainer"] = {"max_epochs": case.epochs, "enable_progress_bar": False}
    if case.is_photographs:
        write_photographs(root / "pictures", images + images // 4)
        data: dict[str, object] = {
            "root": str(root / "pictures"),
            "val_fraction": 0.2,
            "batch_size": 32,
            "size_px": 224,
        }
        given["data"] = {"class_path": "ImageFolderDataModule", "init_args": data}
    else:
        write_fake_cifar10(root, 50_000)
        data = {"root": str(root), "train_per_class": images // 10, "val_fraction": 0.01, "batch_size": 64}
        given["data"] = {"class_path": "CIFAR10DataModule", "init_args": data}
    config.write_text(json.dumps(given), encoding="utf-8")  # JSON is YAML
    return json.dumps(["--config", str(config), *case.options])


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.maps", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", help="beginning of a case's name")
    parser.add_argument("--n", type=int, default=3, help="runs of each build (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of images (default: %(default)s)")
    options = parser.parse_args(args)
    if not any(case.name.startswith(options.only) for case in CASES):
        parser.error(f"--only {options.only!r}: no case begins so; there are {', '.join(case.name for case in CASES)}")
    figures = measure(options.n, options.only, options.scale)
    print(as_markdown(figures))
    for figure in figures:
        print(figure.name, figure.detail)


if __name__ == "__main__":
    main()
