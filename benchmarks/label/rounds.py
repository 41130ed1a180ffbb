"""How many labels a strategy needs: pictures of a pool are labelled in rounds, and a head is solved after each.

    python -m benchmarks.label.rounds --root DATA --sets cifar10 --seeds 10 --out benchmarks/label/rounds.csv

DATA is that of `benchmarks.believe.features`. A pool is at most 5,000 training pictures of a data set, drawn by the
seed; the head (`solve_few`, ridge regression) is tested on its test part. Strategies are ``random``, ``tlearn``
(`next_pictures`), and, where scikit-activeml is installed, its own, which begin with its TypiClust, as ours begins with
typical pictures: ``skactiveml-DropQuery`` and so on. One row a round.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.believe.features import feature_set
from benchmarks.label.reference import reference_pictures
from tlearn.analysis.query.choose import UNLABELLED, next_pictures
from tlearn.analysis.query.clusters import Rows, compressed
from tlearn.analysis.query.estimate import estimated_score
from tlearn.analysis.query.few_labels import solve_few

_MOST, _ROUNDS = 5_000, 10
_LARGE = 1_500  # pictures of a pool from which a round is of 50, else of 20
_FIELDS = ("set", "strategy", "seed", "labels", "accuracy", "choosing_s", "rest", "out_of_fold", "score", "low", "high")


class Pool(NamedTuple):
    """Pictures that may be labelled, (N, D), and those to test on, (T, D)."""

    features: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor
    num_classes: int


def pool_of(name: str, root: Path, seed: int) -> Pool:
    """Draw a pool."""
    found = feature_set(name, root)
    train, test = (~found.is_test).nonzero().flatten(), found.is_test
    kept = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:_MOST]]
    return Pool(
        found.features[kept],
        found.labels[kept],
        found.features[test],
        found.labels[test],
        len(found.class_names),
    )


def rounds(pool: Pool, strategy: str, seed: int, rows: Rows, count: int) -> list[tuple[float, ...]]:
    """Label in rounds; see `_FIELDS` for what each gives."""
    labels, found = torch.full_like(pool.labels, UNLABELLED), []
    draws = torch.Generator().manual_seed(1000 + seed)
    for _ in range(_ROUNDS):
        start_s = time.perf_counter()
        if strategy == "random":
            rest = (labels == UNLABELLED).nonzero().flatten()
            chosen = rest[torch.randperm(len(rest), generator=draws)[:count]].tolist()
        elif strategy == "tlearn":
            asked = next_pictures(pool.features, labels, count, pool.num_classes, seed, rows)
            chosen = [each.position for each in asked]
        else:
            chosen = reference_pictures(strategy, rows, labels, count, pool.num_classes, seed)
        time_s = time.perf_counter() - start_s
        labels[chosen] = pool.labels[chosen]
        found.append((int((labels >= 0).sum()), *_worth(pool, labels, time_s)))
    return found


def _worth(pool: Pool, labels: Tensor, time_s: float) -> tuple[float, ...]:
    known = labels >= 0
    head = solve_few(pool.features[known], labels[known], pool.num_classes)
    accuracy = (head.probabilities(pool.test).argmax(dim=1) == pool.test_labels).float().mean()
    own = (head.unseen.argmax(dim=1) == labels[known]).float().mean()
    rest = head.logits(pool.features[~known])
    right = (rest.argmax(dim=1) == pool.labels[~known]).float().mean()
    return (float(accuracy), time_s, float(right), float(own), *estimated_score(head.unseen, rest))


def main() -> None:
    """Run the strategies on the sets, and write a row for each round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["cifar10"])
    parser.add_argument("--strategies", nargs="+", default=["random", "tlearn"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    is_new = not given.out.exists()
    with given.out.open("a", newline="") as file:
        table = csv.writer(file)
        if is_new:
            table.writerow(_FIELDS)
        for name in given.sets:
            for seed in range(given.seeds):
                pool = pool_of(name, given.root, seed)
                rows, count = compressed(pool.features), 50 if len(pool.labels) >= _LARGE else 20
                for strategy in given.strategies:
                    for each in rounds(pool, strategy, seed, rows, count):
                        table.writerow([name, strategy, seed, each[0], *(f"{number:.4f}" for number in each[1:])])
                    file.flush()
                    print(name, seed, strategy, f"{each[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
