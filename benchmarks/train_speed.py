"""How many images a second does training see: the tutorials' loop, the best plain loop, and tlearn?

    python -m benchmarks.train_speed

Nothing else may run meanwhile: another busy process costs a contender more than half, and not each the same.

ResNet18 without weights on random 32 px images, all contenders in one process, in alternating rounds, so that a drift
of the machine meets them all. In each round a contender trains a new network; the first epoch warms up, uncounted. The
figure is the median over all counted epochs of all rounds. The clock leaves out start-up, validation and
checkpoints. `--help` lists what can be changed; the JSON beside the table holds every single figure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.command import epoch_rates
from benchmarks.fake_cifar import write_fake_cifar10
from benchmarks.loops import best_precision, hand_written, tutorial
from benchmarks.machine import load_now, machine, machine_line

Contender = Callable[[], list[float]]


@dataclass
class Result:
    """What one contender reached: images per second, one figure for each counted epoch."""

    name: str
    setting: str
    rates: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure that counts."""
        return median(self.rates)


def tlearn(root: Path, epochs: int, batch_size: int, precision: str) -> list[float]:
    """Images per second of each epoch of ``tlearn fit --config finetune.yaml``; raises RuntimeError when it fails."""
    args = ["--config", "finetune.yaml", "--data.init_args.root", str(root), "--model.weights", "null"]
    args += ["--data.init_args.batch_size", str(batch_size), "--trainer.precision", precision]
    args += ["--trainer.max_epochs", str(epochs), "--trainer.default_root_dir", str(root / "runs")]
    rates = epoch_rates(args)
    if len(rates) != epochs:
        raise RuntimeError(f"tlearn fit ended after {len(rates)} of {epochs} epochs")
    return rates


def better_workers(images: int) -> int:
    """The number of workers, 0 or 2, with which the tutorials' loop is faster here."""
    probe = min(images, 2000)
    return max((0, 2), key=lambda workers: tutorial(probe, epochs=2, num_workers=workers)[-1])


def contenders(options: argparse.Namespace, root: Path) -> list[tuple[Result, Contender]]:
    """Every contender in every setting, tlearn only when it is asked for."""
    images, epochs = options.images, options.epochs
    workers = better_workers(images)
    setting = f"batch 64, fp32, {workers} workers"
    found: list[tuple[Result, Contender]] = [
        (Result("tutorial", setting), partial(tutorial, images, epochs, workers)),
    ]
    for batch, precision in dict.fromkeys([(64, best_precision()), (options.large_batch, "bf16-mixed")]):
        setting = f"batch {batch}, {precision}, channels_last"
        found.append((Result("hand-written", setting), partial(hand_written, images, epochs, batch, precision)))
        if not options.loops_only:
            found.append((Result("tlearn", setting), partial(tlearn, root, epochs, batch, precision)))
    return found


def measure(options: argparse.Namespace) -> list[Result]:
    """Run the rounds, every second one backwards, and keep all epochs but each run's first."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_fake_cifar10(root, options.images)
        field_of = contenders(options, root)
        for number in range(options.rounds):
            for result, run in field_of[:: -1 if number % 2 else 1]:
                result.rates += run()[1:]
                print(f"round {number + 1}: {result.name}, {result.setting}: {result.rates[-1]:.0f}", file=sys.stderr)
    return [result for result, _ in field_of]


def ratio(result: Result, results: list[Result], name: str) -> float | None:
    """How often the contender is as fast as the one of that name: in the same setting, or the tutorial's only one."""
    for other in results:
        if other.name == name and (name == "tutorial" or other.setting == result.setting):
            return result.median / other.median
    return None


def as_json(options: argparse.Namespace, results: list[Result]) -> dict[str, object]:
    """Everything that was measured and under what conditions."""
    rows = [
        asdict(result)
        | {"median": result.median, "min": min(result.rates), "max": max(result.rates)}
        | {f"ratio_to_{name}": ratio(result, results, name) for name in ("hand-written", "tutorial")}
        for result in results
    ]
    return {"unit": "training images/s", "machine": machine(), "options": vars(options), "results": rows}


def as_table(results: list[Result]) -> str:
    """The same as a Markdown table."""
    lines = [
        "| | setting | images/s, median (min-max) | to hand-written | to tutorial |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results:
        ratios = [ratio(result, results, name) for name in ("hand-written", "tutorial")]
        shown = " | ".join("" if x is None else f"{x:.2f}" for x in ratios)
        spread = f"{result.median:.0f} ({min(result.rates):.0f}-{max(result.rates):.0f})"
        lines.append(f"| {result.name} | {result.setting} | {spread} | {shown} |")
    return "\n".join(lines)


def parse(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_speed", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000, help="training images, all 32 px (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=int, default=3, help="of each run, the first not counted (default: %(default)s)"
    )
    parser.add_argument("--large-batch", type=int, default=256, help="of the second setting (default: %(default)s)")
    parser.add_argument("--loops-only", action="store_true", help="leave tlearn out")
    parser.add_argument("--json", type=Path, default=Path("runs/train_speed.json"), help="default: %(default)s")
    options = parser.parse_args(args)
    if options.epochs < 2:
        parser.error("--epochs must be 2 or more: the first is not counted")
    return options


def main(args: list[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    options = parse(args)
    load = load_now()
    results = measure(options)
    report = as_json(options, results) | {"load_at_start": load}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    print(machine_line(), end="\n\n")
    print(as_table(results))


if __name__ == "__main__":
    main()
