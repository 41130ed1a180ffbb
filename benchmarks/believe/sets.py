"""Do answer sets and ``--min_accuracy`` keep what they promise? Real features, solved heads, hundreds of draws.

    python -m benchmarks.believe.sets --root DATA    # measures, and writes sets.csv
    python -m benchmarks.believe.sets_table          # judges what sets.csv holds

DATA is that of `benchmarks.believe.features`. A draw takes so many labels of every class at random, a fifth of them (at
least one) for validation, solves the head by ridge regression as ``fit`` does, and answers the other pictures, at most
3,000. Held out are the training pictures, out of fold, or those of validation. Features are turned into their 256
largest directions over all pictures, without labels, so that a draw takes a tenth of a second.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.believe.features import feature_set
from tlearn.base.errors import TlearnError
from tlearn.models.reliability.abstention import confidence_for
from tlearn.models.reliability.answer_sets import Method, answer_sets, fit_sets
from tlearn.training.strategies.head_solver import Solver, solve_head, turn
from tlearn.training.strategies.out_of_fold import out_of_fold

PATH = Path(__file__).with_name("sets.csv")
LABELS = {"hymenoptera": (5, 10, 25, 100), "cifar10": (5, 10, 25, 100, 500)}
COVERAGES = (0.8, 0.9, 0.95)
ACCURACIES = (0.9, 0.95, 0.98)
METHODS: tuple[Method, ...] = ("lac", "raps")
DRAWS = 200
DIRECTIONS = 256
_MOST_TESTED = 3000

Row = dict[str, object]


def reduced(features: Tensor) -> Tensor:
    """Turn features (N, D) into their largest directions (N, 256), by their variance alone."""
    centred = features - features.mean(dim=0)
    vectors = torch.linalg.eigh(centred.T @ centred / len(centred)).eigenvectors
    return torch.matmul(centred, vectors[:, -DIRECTIONS:])


def divided(labels: Tensor, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pictures (positions) of training, validation and test, with so many labels of every class."""
    mixed = torch.randperm(len(labels), generator=generator)
    train, val, rest = list[Tensor](), list[Tensor](), list[Tensor]()
    for number in range(int(labels.max()) + 1):
        members = mixed[labels[mixed] == number]
        for_val = max(1, each // 5)
        val.append(members[:for_val])
        train.append(members[for_val:each])
        rest.append(members[each:])
    test = torch.cat(rest)
    test = test[torch.randperm(len(test), generator=generator)[:_MOST_TESTED]]
    return torch.cat(train), torch.cat(val), test


def held_out_and_test(
    features: Tensor, labels: Tensor, parts: tuple[Tensor, Tensor, Tensor], solver: Solver
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Return probabilities and labels of held-out pictures, by where they come from, and probabilities of the test."""
    train, val, test = parts
    ours, theirs = (features[train], labels[train]), (features[val], labels[val])
    solved = solve_head("classification", ours, theirs, int(labels.max()) + 1, solver)
    turned = turn(ours[0], torch.ones(len(train)))
    unseen = out_of_fold("classification", turned, ours[1], None, solver, solved)
    assert unseen is not None
    known = unseen.answered

    def answers(rows: Tensor) -> Tensor:
        return (features[rows] @ solved.weight.T + solved.bias).softmax(dim=1)

    held = {
        "out of fold": (unseen.logits[known].softmax(dim=1), ours[1][known]),
        "validation": (answers(val), theirs[1]),
    }
    return held, answers(test)


def sets_row(held: tuple[Tensor, Tensor], given: Tensor, labels: Tensor) -> Row:
    """Return how many test pictures raw and users' sets hold, their mean size, and whether the first one was held."""
    row: Row = {}
    for method in METHODS:
        for coverage in COVERAGES:
            name = f"{method}_{coverage:g}"
            try:
                rule = fit_sets(*held, coverage, method)
            except TlearnError:  # too few
                row |= {f"{name}_raw": "", f"{name}_first": "", f"{name}_sets": "", f"{name}_size": ""}
                continue
            raw, sets = (answer_sets(rule, given, raw=is_raw) for is_raw in (True, False))
            holds = raw.gather(1, labels[:, None])[:, 0]
            row |= {
                f"{name}_raw": int(holds.sum()),
                f"{name}_first": int(holds[0]),
                f"{name}_sets": int(sets.gather(1, labels[:, None]).sum()),
                f"{name}_size": round(float(sets.sum(dim=1).double().mean()), 3),
            }
    return row


def answered_row(held: tuple[Tensor, Tensor], given: Tensor, labels: Tensor) -> Row:
    """Return for each promised accuracy the confidence, how many test pictures are answered, and how many right."""
    row: Row = {}
    sure, answers = given.max(dim=1)
    for accuracy in ACCURACIES:
        found = confidence_for(*held, accuracy)
        name, is_given = f"accuracy_{accuracy:g}", torch.zeros_like(answers, dtype=torch.bool)
        if found.confidence is not None:
            is_given = sure.double() >= found.confidence
        row |= {
            f"{name}_confidence": "" if found.confidence is None else round(found.confidence, 4),
            f"{name}_answered": int(is_given.sum()),
            f"{name}_right": int((answers == labels)[is_given].sum()),
        }
    return row


def rows_of(name: str, root: Path, draws: int, solver: Solver) -> Iterator[Row]:
    """Yield a row for each draw and each kind of held-out pictures."""
    given = feature_set(name, root)
    features, labels = reduced(given.features), given.labels
    for each in LABELS[name]:
        for draw in range(draws):
            parts = divided(labels, each, torch.Generator().manual_seed(1000 * each + draw))
            held, answers = held_out_and_test(features, labels, parts, solver)
            test = labels[parts[2]]
            right = int((answers.argmax(dim=1) == test).sum())
            for source, part in held.items():
                row: Row = {"data": name, "labels": each, "draw": draw, "source": source, "held_out": len(part[1])}
                row |= {"test": len(test), "right": right}
                yield row | sets_row(part, answers, test) | answered_row(part, answers, test)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write a row for each draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--only", choices=LABELS)
    parser.add_argument("--solver", choices=("ridge", "lbfgs"), default="ridge")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, default=PATH)
    given = parser.parse_args(words)
    with given.out.open("w", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for name in [given.only] if given.only else LABELS:
            for row in rows_of(name, given.root, given.draws, given.solver):
                writer = writer or csv.DictWriter(file, list(row), lineterminator="\n")
                if not file.tell():
                    writer.writeheader()
                writer.writerow(row)
                file.flush()


if __name__ == "__main__":
    main()
