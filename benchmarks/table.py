"""The figures of docs/speed.md and docs/strategies.md, measured in one go: `make bench` (about 75 minutes on 2 cores).

    python -m benchmarks.table --root DATA
    python -m benchmarks.table --gpu          # what a GPU decides: `make bench-gpu`

Nothing else may run meanwhile. ``DATA`` holds CIFAR-10 as torchvision keeps it; without it the images are random and
accuracies mean nothing. Prints the table and writes it to ``runs/bench.md``, every detail to ``runs/bench.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from benchmarks import frozen, parts, pictures, processes, train_speed
from benchmarks.fake_cifar import accept_checksums
from benchmarks.machine import Figure, as_markdown, load_now, machine, print_figures
from benchmarks.speed import fine_tuning as fine_tuned
from benchmarks.speed import head, maps, newcomer, on_gpu, photographs, start

Part = Callable[[], list[Figure]]


def fine_tuning() -> list[Figure]:
    """Training of the whole network against the tutorial's loop and a hand-written one."""
    results = train_speed.measure(train_speed.parse([]))
    found = []
    for result in results:
        if result.name == "tlearn":
            for other, wanted in (
                ("tutorial", ">= 2.0" if "256" in result.setting else ""),
                ("hand-written", ">= 0.98"),
            ):
                value = train_speed.ratio(result, results, other)
                assert value is not None
                name = f"fine-tuning, {result.setting}: tlearn over the {other} loop"
                found.append(Figure(name, value, "x", wanted, len(result.rates), {"images/s": result.median}))
    return found


def all_parts(root: Path) -> dict[str, Part]:
    """Everything there is to measure, by name."""
    return {
        "frozen32": partial(frozen.measure, root, 32, 3, True),
        "frozen224": partial(frozen.measure, root, 224, 3, False),
        "extraction": partial(parts.extraction, root),
        "fine_tuning": fine_tuning,
        "serving": partial(parts.serving, root),
        "head_path": partial(parts.head_path, root),
        "memory": partial(parts.memory, root),
        "reporting": partial(parts.reporting_share, root),
        "cached_epochs": partial(parts.cached_epochs, root),
        "head_epoch": head.measure,
        "process_memory": partial(processes.memory, root),
        "first_step": processes.first_step,
        "maps": maps.measure,
        "pictures": pictures.measure,
        "newcomer": newcomer.measure,
        "start": start.measure,
        "fine_tuning_photographs": fine_tuned.measure,
        "photographs": photographs.measure,
    }


def main(args: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, help="CIFAR-10; random images without it")
    parser.add_argument("--only", nargs="*", help="names of parts")
    parser.add_argument("--gpu", action="store_true", help="what a GPU decides, in eight minutes")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="default: %(default)s")
    options = parser.parse_args(args)
    if options.gpu and not torch.cuda.is_available():
        parser.error("--gpu: no GPU found (torch.cuda.is_available() is false)")
    out, load = options.out.absolute(), load_now()
    figures: list[Figure] = []
    with frozen.data_at(options.root) as root:
        choices: dict[str, Part] = {"on_gpu": on_gpu.measure} if options.gpu else all_parts(root)
        for name in options.only or choices:
            print(f"== {name}", file=sys.stderr, flush=True)
            accept_checksums(root)  # another part may have put its own data in their place
            figures += choices[name]()
            report = {"machine": machine(), "load_at_start": load, "figures": [asdict(f) for f in figures]}
            out.mkdir(parents=True, exist_ok=True)
            (out / "bench.json").write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
            (out / "bench.md").write_text(as_markdown(figures) + "\n", encoding="utf-8")
    print_figures(figures)


if __name__ == "__main__":
    main()
