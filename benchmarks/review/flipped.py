"""Find flipped labels by doubt, beside cleanlab, and count them. N pictures, K classes.

    python -m benchmarks.review.flipped --root DATA --out doubt.csv [--sets cifar10,hymenoptera] [--seeds 5]

DATA holds ``believe/NAME.pt``, see `benchmarks.believe.features`. cleanlab 2.9 has to be installed.
Its own recipe is ``cross_val_predict(LogisticRegression(max_iter=400), features, labels, method="predict_proba")``.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from torch import Tensor

from benchmarks.believe.features import feature_set
from tlearn.analysis.doubt.answers import Answers, Head

SHARES = (0.02, 0.05, 0.3)
_MOST = 5_000
_SHOWN = 50
_SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


class Row(NamedTuple):
    """One way to doubt the labels of one set with one draw of flips.

    Attributes:
        set: The data set.
        share: Of labels that were flipped.
        seed: Of the draw.
        probabilities: ``ridge`` as tlearn solves it, or ``recipe`` for cleanlab's.
        score: ``tlearn``, or a method of cleanlab's.
        auroc: Of doubt, for flipped against not flipped.
        first_50: Share of flipped labels among the 50 most doubtful.
        best_50: The most that it can be: there may be fewer than 50.
        wrong: Flipped labels.
        estimated: How many are said to be wrong.
        time_s: CPU seconds for the probabilities.
    """

    set: str
    share: float
    seed: int
    probabilities: str
    score: str
    auroc: float
    first_50: float
    best_50: float
    wrong: int
    estimated: float
    time_s: float


def flipped(labels: Tensor, num_classes: int, share: float, seed: int) -> Tensor:
    """Give a share of pictures another label, each other class alike; int64 (N,)."""
    draws = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(labels), generator=draws)[: round(share * len(labels))]
    changed = labels.clone()
    changed[rows] = (labels[rows] + torch.randint(1, num_classes, (len(rows),), generator=draws)) % num_classes
    return changed


def by_ridge(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Answers, float]:
    """Answer out of fold as `review` does; with the CPU seconds."""
    start_s = time.process_time()
    answers = Head(features).answers(labels, num_classes)
    return answers, time.process_time() - start_s


def by_recipe(features: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Answer out of fold as cleanlab's tutorials do; with the CPU seconds."""
    start_s = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not have converged
        model = LogisticRegression(max_iter=400)
        found = cross_val_predict(model, features.numpy(), labels.numpy(), method="predict_proba")
    return torch.from_numpy(np.asarray(found)), time.process_time() - start_s


def rows_of(name: str, features: Tensor, truth: Tensor, num_classes: int, share: float, seed: int) -> Iterator[Row]:
    """Measure one draw in every way."""
    rank, count = (import_module(f"cleanlab.{part}") for part in ("rank", "count"))
    labels = flipped(truth, num_classes, share, seed)
    bad = labels != truth
    answers, time_s = by_ridge(features, labels, num_classes)

    def row(kind: str, score: str, doubt: Any, estimated: float, time_s: float) -> Row:
        first = torch.as_tensor(np.asarray(doubt)).argsort(descending=True, stable=True)[:_SHOWN]
        best = min(1.0, int(bad.sum()) / _SHOWN)
        auroc, found = float(roc_auc_score(bad, doubt)), float(bad[first].double().mean())
        return Row(name, share, seed, kind, score, auroc, found, best, int(bad.sum()), float(estimated), time_s)

    yield row("ridge", "tlearn", answers.doubt.numpy(), float(answers.wrong.sum()), time_s)
    recipe, recipe_s = by_recipe(features, labels)
    for kind, given, taken_s in (("ridge", answers.probabilities, time_s), ("recipe", recipe, recipe_s)):
        shares = given.double().numpy()
        estimated = count.num_label_issues(labels.numpy(), shares)
        for method in _SCORES:
            quality = rank.get_label_quality_scores(labels.numpy(), shares, method=method)
            yield row(kind, method, 1 - quality, estimated, taken_s)


def table(rows: list[Row]) -> str:
    """Put the means over seeds together, with the least and the most of AUROC."""
    lines = ["set, share, probabilities, score: AUROC mean [least, most], wrong among the first 50, estimated of wrong"]
    for key in dict.fromkeys(row[:2] + row[3:5] for row in rows):
        own = [row for row in rows if row[:2] + row[3:5] == key]
        aurocs = [row.auroc for row in own]
        found, best, said, wrong = (
            float(np.mean([getattr(row, field) for row in own]))
            for field in ("first_50", "best_50", "estimated", "wrong")
        )
        ends = f"{np.mean(aurocs):.4f} [{min(aurocs):.4f}, {max(aurocs):.4f}]"
        lines.append(
            f"{', '.join(map(str, key))}: {ends}, {100 * found:.1f} % of {100 * best:.0f} %, {said:.0f} of {wrong:.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure all draws; each row is written as soon as it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default="hymenoptera,cifar10")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    rows = list[Row]()
    with given.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        for seed in range(given.seeds):
            for name in given.sets.split(","):
                found = feature_set(name, given.root)
                features, truth = found.features[:_MOST], found.labels[:_MOST]
                for share in SHARES:
                    new = list(rows_of(name, features, truth, len(found.class_names), share, seed))
                    writer.writerows(new)
                    file.flush()
                    rows += new
                    print(name, share, seed, f"{new[0].auroc:.4f} {max(row.auroc for row in new[1:]):.4f}", flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
