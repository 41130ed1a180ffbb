"""Compare how evenly whole groups are split off, and whether images that come later move any.

    python -m benchmarks.believe.group_split --out benchmarks/believe/group_split.csv

Each of 200 sets of each kind has groups of one class (patients) or of all (cameras), or mixed ones; then 30 % more
images come to their groups, unevenly. The first fold of scikit-learn's shuffled ``StratifiedGroupKFold`` stands beside
tlearn's split. It takes two minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from tlearn.data.images.grouped_split import chosen_groups, draws_of_groups

Counts = NDArray[np.int64]
Chosen = NDArray[np.bool_]

KINDS = ("patients, even", "patients, uneven", "cameras, even", "cameras, uneven", "mixed", "long tail")
SETS = 200


def made(kind: str, rng: np.random.Generator) -> Counts:
    """Return the images of each class (G, K) in a made set of groups."""
    count, classes = int(rng.integers(8, 60)), int(rng.integers(2, 10))
    sizes = rng.integers(5, 60, count)
    if "even" in kind and "uneven" not in kind:
        sizes = np.full(count, 20)
    elif kind in ("cameras, uneven", "long tail"):
        sizes = 2 * classes + rng.lognormal(4, 1, count).astype(np.int64)
    if kind.startswith("patients"):
        shares = np.eye(classes)[np.arange(count) % classes]
    elif kind.startswith("cameras"):
        shares = np.full((count, classes), 1 / classes)
    else:
        tail = 1 / np.arange(1, classes + 1) if kind == "long tail" else np.ones(classes)
        shares = rng.dirichlet(3 * tail / tail.sum() if kind == "long tail" else 0.5 * tail, count)
    return np.stack([rng.multinomial(size, share) for size, share in zip(sizes, shares, strict=True)]).astype(np.int64)


def ours(counts: Counts, fraction: float, seed: int) -> Chosen:
    """Return the groups that tlearn validates on."""
    return chosen_groups(counts > 0, draws_of_groups([f"g{n}" for n in range(len(counts))], seed), fraction)


def sklearns(counts: Counts, fraction: float, seed: int) -> Chosen:
    """Return the groups of the first fold of ``StratifiedGroupKFold``."""
    labels = np.concatenate([np.repeat(np.arange(counts.shape[1]), row) for row in counts])
    groups = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes with fewer images than folds
        folds = StratifiedGroupKFold(round(1 / fraction), shuffle=True, random_state=seed)
        _, val = next(iter(folds.split(labels, labels, groups)))
    return np.isin(np.arange(len(counts)), groups[val])


def figures(counts: Counts, chosen: Chosen, fraction: float) -> tuple[float, float, int]:
    """Return by how many points classes and images miss the share, and how many classes nothing validates."""
    total, val = counts.sum(axis=0), counts[chosen].sum(axis=0)
    there = total > 0
    off = 100 * np.abs(val[there] / total[there] - fraction).mean()
    return float(off), float(100 * abs(val.sum() / total.sum() - fraction)), int((val[there] == 0).sum())


def main() -> None:
    """Write a row for each kind of set, share and method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    rows = []
    for fraction in (0.1, 0.2):
        for number, kind in enumerate(KINDS):
            for name, method in (("tlearn", ours), ("StratifiedGroupKFold", sklearns)):
                found, moved = [], 0
                for seed in range(SETS):
                    rng = np.random.default_rng([seed, number])
                    counts = made(kind, rng)
                    if len(counts) < round(1 / fraction):
                        continue
                    weights = rng.dirichlet(np.full(len(counts), 0.3))[:, None] * counts
                    later = rng.multinomial(int(0.3 * counts.sum()), weights.ravel() / weights.sum())
                    before = method(counts, fraction, seed)
                    moved += bool((method(counts + later.reshape(counts.shape), fraction, seed) != before).any())
                    found.append(figures(counts, before, fraction))
                mean = np.mean(found, axis=0)
                rows.append([kind, fraction, name, len(found), *(f"{value:.2f}" for value in mean), moved])
    with parser.parse_args().out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        heads = ["classes_off_points", "images_off_points", "classes_not_validated", "sets_in_which_groups_moved"]
        writer.writerow(["groups", "val_fraction", "split", "sets", *heads])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
