"""Count how often an interval over groups holds the true mean, on made scores.

    python -m benchmarks.believe.group_intervals --out benchmarks/believe/group_intervals.csv

Each draw makes G groups of 5 to 40 images; a group has a share of right answers of its own, from a beta distribution.
The truth is the mean of that distribution. It takes half a minute on one core.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlearn.base.intervals import grouped_interval, share_interval

Array = NDArray[np.float64]

SHAPES = ((0.85, 0.10), (0.95, 0.05), (0.70, 0.20))  # mean of the groups' shares, and their standard deviation
GROUPS = (5, 10, 30)
DRAWS = 1000


def drawn(rng: np.random.Generator, mean: float, spread: float, count: int) -> tuple[Array, NDArray[np.int64]]:
    """Return scores of 0 and 1 (N,) and the group of each (N,)."""
    total = mean * (1 - mean) / spread**2 - 1
    shares = rng.beta(mean * total, (1 - mean) * total, count)
    groups = np.repeat(np.arange(count), rng.integers(5, 41, count))
    return (rng.random(len(groups)) < shares[groups]).astype(float), groups


def percentiles(scores: Array, groups: NDArray[np.int64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the plain percentile interval of a cluster bootstrap."""
    sizes, sums = np.bincount(groups).astype(float), np.bincount(groups, weights=scores)
    chosen = rng.integers(0, len(sizes), (4999, len(sizes)))
    low, high = np.quantile(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def measure(mean: float, spread: float, count: int) -> list[tuple[str, float, float]]:
    """Return of each method its name, how often it held the mean, and its mean width."""
    rng = np.random.default_rng([count, int(100 * mean)])
    found: dict[str, list[tuple[float, float]]] = {"expanded": [], "percentiles": [], "images": []}
    for _ in range(DRAWS):
        scores, groups = drawn(rng, mean, spread, count)
        found["expanded"].append(grouped_interval(scores, groups) or (1.0, 1.0))  # all alike: nothing is held
        found["percentiles"].append(percentiles(scores, groups, rng))
        found["images"].append(share_interval(float(scores.sum()), len(scores)))
    ends = {name: np.array(of) for name, of in found.items()}
    return [
        (name, float(((of[:, 0] <= mean) & (mean <= of[:, 1])).mean()), float((of[:, 1] - of[:, 0]).mean()))
        for name, of in ends.items()
    ]


def main() -> None:
    """Measure all, print the rows, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rows = []
    for mean, spread in SHAPES:
        for count in GROUPS:
            rows += [(mean, spread, count, DRAWS, *of) for of in measure(mean, spread, count)]
            print(*rows[-3:], sep="\n", flush=True)
    with out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["mean", "spread", "groups", "draws", "method", "held", "width"])
        table.writerows((*row[:5], f"{row[5]:.4f}", f"{row[6]:.4f}") for row in rows)


if __name__ == "__main__":
    main()
