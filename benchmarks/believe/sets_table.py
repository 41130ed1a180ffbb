"""Judge what `benchmarks.believe.sets` measured, and print it as tables.

    python -m benchmarks.believe.sets_table

If held-out and new pictures are exchangeable and scores differ, the number of M new pictures whose true class a raw set
holds is beta-binomial: N held-out pictures and rank r = ceil((N + 1) * coverage) give r and N + 1 - r as its two
parameters. So are three bands of 99 % exact, and none has a free number:

- draw: of all draws, how many lie within the band of one draw (its M test pictures);
- first: of one new picture a draw, how many are held, which is binomial (draws, r / (N + 1));
- mean: the mean coverage over the draws, whose standard error is that of the beta-binomial over sqrt(draws).

Raw sets of LAC are judged on both sides. Those of RAPS, in which the surest class always is, and the sets that users
get may hold the true class more often, where the network is right more often than was asked for: the low side counts.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import betabinom, binom, norm

from benchmarks.believe.sets import ACCURACIES, COVERAGES, METHODS, PATH

_OUTSIDE = 0.01

Draw = dict[str, str]
Setting = tuple[str, int, str]


class Kept(NamedTuple):
    """How a promise of sets was kept in a setting: data, labels a class, source, method, coverage."""

    mean: float
    size: float
    draws_within: float
    is_first_within: bool
    is_mean_within: bool


def settings_of(path: Path) -> dict[Setting, list[Draw]]:
    """Read the draws of each setting."""
    found = defaultdict[Setting, list[Draw]](list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["data"], int(row["labels"]), row["source"]].append(row)
    return dict(found)


def kept(draws: list[Draw], method: str, coverage: float, kind: str) -> Kept | None:
    """Judge ``raw`` or users' ``sets``; ``None`` where too few pictures were held out."""
    name = f"{method}_{coverage:g}"
    draws = [draw for draw in draws if draw[f"{name}_raw"] != ""]
    if not draws:
        return None
    tested, held_out = int(draws[0]["test"]), np.array([int(draw["held_out"]) for draw in draws])
    ranks = np.ceil((held_out + 1) * coverage - 1e-9)
    expected = betabinom(tested, ranks, held_out + 1 - ranks)
    counts = np.array([int(draw[f"{name}_{kind}"]) for draw in draws])
    first = sum(int(draw[f"{name}_first"]) for draw in draws)
    is_exact = method == "lac" and kind == "raw"
    tails = [_OUTSIDE / 2, 1 - _OUTSIDE / 2]
    low, high = (expected.ppf(tail) for tail in tails)
    first_low, first_high = binom.ppf(tails, len(draws), float((ranks / (held_out + 1)).mean()))
    off = (counts - expected.mean()).sum() / math.sqrt(expected.var().sum())
    limit = float(norm.ppf(tails[1]))
    return Kept(
        float(counts.mean()) / tested,
        sum(float(draw[f"{name}_size"]) for draw in draws) / len(draws),
        float(((low <= counts) & ((counts <= high) | (not is_exact))).mean()),
        bool(first_low <= first and (first <= first_high or not is_exact)),
        bool(off >= -limit and (off <= limit or not is_exact)),
    )


def sets_table(found: dict[Setting, list[Draw]]) -> None:
    """Print a row for each setting and method, and how many lie within each band."""
    print("| data | labels a class | held out | method | coverage raw 80 / 90 / 95 % | mean size | draws within |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    judged = defaultdict[tuple[str, str, str], list[Kept]](list)
    for (data, labels, source), draws in found.items():
        for method in METHODS:
            each = [kept(draws, method, coverage, "raw") for coverage in COVERAGES]
            for kind in ("raw", "sets"):
                all_ = [kept(draws, method, coverage, kind) for coverage in COVERAGES]
                judged[source, method, kind] += [one for one in all_ if one]
            columns = [
                " / ".join("too few" if one is None else f"{100 * one.mean:.1f}" for one in each),
                " / ".join("-" if one is None else f"{one.size:.2f}" for one in each),
                " / ".join("-" if one is None else f"{100 * one.draws_within:.0f} %" for one in each),
            ]
            held_out = f"{max(int(draw['held_out']) for draw in draws)} {source}"
            print(f"| {data} | {labels} | {held_out} | {method} | {' | '.join(columns)} |")
    print("\n| held out | method | sets | settings | draws within | first picture within | mean within |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (source, way, kind), every in judged.items():
        share = sum(one.draws_within for one in every) / len(every)
        first, mean = sum(one.is_first_within for one in every), sum(one.is_mean_within for one in every)
        total = len(every)
        print(f"| {source} | {way} | {kind} | {total} | {100 * share:.1f} % | {first} of {total} | {mean} of {total} |")


def accuracy_table(found: dict[Setting, list[Draw]]) -> None:
    """Print for each setting and promised accuracy: draws without an answer, share answered, and promises kept.

    A promise is broken in a draw whose answered test pictures are right less often, by however little.
    """
    print("\n| data | labels a class | held out | promised | said impossible | answered | accuracy | broken | kept |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    totals = defaultdict[tuple[str, float], list[int]](lambda: [0, 0, 0])
    for (data, labels, source), draws in found.items():
        for accuracy in ACCURACIES:
            name = f"accuracy_{accuracy:g}"
            given = [draw for draw in draws if draw[f"{name}_confidence"] != ""]
            answered = [int(draw[f"{name}_answered"]) for draw in given]
            right = [int(draw[f"{name}_right"]) for draw in given]
            broken = sum(r < accuracy * a for r, a in zip(right, answered, strict=True))
            totals[source, accuracy][0] += broken
            totals[source, accuracy][1] += len(given)
            totals[source, accuracy][2] += len(draws)
            if not given:
                continue
            tested, most = int(draws[0]["test"]) * len(given), max(int(draw["held_out"]) for draw in draws)
            print(
                f"| {data} | {labels} | {most} {source} | {accuracy:g} | {len(draws) - len(given)} | "
                f"{100 * sum(answered) / tested:.0f} % | {100 * sum(right) / max(1, sum(answered)):.1f} % | "
                f"{broken} of {len(given)} | {100 * (1 - broken / len(draws)):.1f} % |"
            )
    print("\n| held out | promised | draws | with answers | kept |\n| --- | --- | --- | --- | --- |")
    for (source, accuracy), (broken, answering, draws_) in totals.items():
        print(f"| {source} | {accuracy:g} | {draws_} | {answering} | {100 * (1 - broken / draws_):.1f} % |")


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", type=Path, default=PATH)
    found = settings_of(parser.parse_args(words).path)
    sets_table(found)
    accuracy_table(found)


if __name__ == "__main__":
    main()
