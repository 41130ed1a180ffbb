"""Do shards on this disk feed a training as fast as the folder that they were packed from?

    python -m benchmarks.streaming --root FOLDER

One pass over the training loader of each, again and again in turns, in one process without workers: same pictures, same
options, no network. A first pass of each is not counted; then the files lie in the system's memory, so that what is
compared is the code and not the disk, which shards spare: they are read in long pieces.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from benchmarks.machine import load_now, machine_line
from tlearn import ImageFolderDataModule, StreamingDataModule
from tlearn import main as tlearn

SHARD_MB = "4"  # several shards, also of few pictures


def passes(root: Path, shards: Path, repeats: int) -> tuple[int, dict[str, list[tuple[float, float]]]]:
    """Return how many pictures a pass has, and the seconds of each: on the clock, and of the processor."""
    data = {
        "folder": ImageFolderDataModule(str(root), batch_size=32, num_workers=0, on_error="skip"),
        "shards": StreamingDataModule(str(shards), batch_size=32, num_workers=0),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in data}
    count = 0
    for module in data.values():
        module.setup("fit")
    for number in range(repeats + 1):
        for name in list(data) if number % 2 else reversed(list(data)):
            start = time.perf_counter(), time.process_time()
            count = sum(len(batch.targets) for batch in data[name].train_dataloader())
            if number:
                seconds[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return count, seconds


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a folder as ImageFolderDataModule takes it")
    parser.add_argument("--repeats", type=int, default=9, help="passes of each that count; default: %(default)s")
    options = parser.parse_args(args)
    load_now()
    with tempfile.TemporaryDirectory() as place:
        shards = Path(place) / "shards"
        words = ["--shard_mb", SHARD_MB, "--data.init_args.on_error", "skip"]
        if tlearn(["optimize", str(options.root), str(shards), *words]):
            raise SystemExit(2)
        count, seconds = passes(options.root, shards, options.repeats)
    print(machine_line())
    for place_in_pair, clock in enumerate(("wall clock", "processor time")):
        folder, sharded = ([each[place_in_pair] for each in seconds[name]] for name in ("folder", "shards"))
        ratios = [one / other for one, other in zip(folder, sharded, strict=True)]
        low, _, high = quantiles(ratios, n=4)
        print(
            f"{clock}: folder {count / median(folder):.0f}, shards {count / median(sharded):.0f} images/s; shards over "
            f"folder {median(ratios):.3f}, quartiles {low:.3f} to {high:.3f}, {min(ratios):.3f} to {max(ratios):.3f}, "
            f"n = {len(ratios)} passes over {count} pictures"
        )


if __name__ == "__main__":
    main()
