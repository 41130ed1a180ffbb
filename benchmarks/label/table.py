"""The table of `benchmarks.label.rounds`: how many labels each strategy needs, and how near the estimate is.

python -m benchmarks.label.table benchmarks/label/rounds.csv
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_REFERENCE = "random"
Column = dict[int, list[float]]  # seed -> a number each round


def main() -> None:
    """Print a row for each set and strategy: means over the seeds that have a run."""
    with Path(sys.argv[1]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    print("| set | strategy | n | labels for random's last | over random, least | mean | estimate | out of fold |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        sizes = sorted({int(row["labels"]) for row in own})
        reference = _of(own, _REFERENCE, "accuracy")
        for strategy in dict.fromkeys(row["strategy"] for row in own):
            mine = _of(own, strategy, "accuracy")
            seeds = sorted(mine)
            reached, beside = _mean(mine, seeds), _mean(reference, seeds)
            wanted = beside[-1]
            needed = float(np.interp(wanted, np.maximum.accumulate(reached), sizes))
            ratio = f"{needed / sizes[-1]:.2f} x" if reached.max() >= wanted else "not reached"
            ahead = 100 * (reached - beside)
            biases = [_bias(own, strategy, column) for column in ("score", "out_of_fold")]
            print(
                f"| {name} | {strategy} | {len(seeds)} | {ratio} | {ahead.min():+.1f} | {ahead.mean():+.1f} | "
                f"{' | '.join(biases)} |"
            )


def _of(rows: list[dict[str, str]], strategy: str, column: str) -> Column:
    found = defaultdict[int, list[float]](list)
    for row in rows:
        if row["strategy"] == strategy:
            found[int(row["seed"])].append(float(row[column]))
    return dict(found)


def _mean(column: Column, seeds: list[int]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.array([column[seed] for seed in seeds]).mean(axis=0)
    return found


def _bias(rows: list[dict[str, str]], strategy: str, column: str) -> str:
    """Return the mean and the root mean square of the difference to the truth, in points."""
    given, truth = _of(rows, strategy, column), _of(rows, strategy, "rest")
    seeds = sorted(given)
    off = 100 * (np.array([given[seed] for seed in seeds]) - np.array([truth[seed] for seed in seeds]))
    return f"{off.mean():+.1f}, rms {np.sqrt(np.square(off).mean()):.1f}"


if __name__ == "__main__":
    main()
