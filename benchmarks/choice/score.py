"""Score rules of choice on what every member and average really reached, and print the tables of docs/strategies.md.

    python -m benchmarks.choice.score [--settled] [--cold]

It reads ``averages_warm.csv`` and ``runs.csv``; with ``--cold`` ``averages.csv``, whose runs had no warm-up; with
``--settled`` only the sets that the rule was settled on. Regret is
what the best single member in hindsight reached above what the rule ended with, in points: below 0, an average was
better than every member. "Within its interval" counts differences whose 90 % interval over test images holds 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import mean

from benchmarks.choice.rules import CONSTANTS, RULES, VARIANTS, Case, Rule, price, read_cases, read_warm, shipped
from benchmarks.choice.scenarios import HELD_BACK, SETTLED_ON

PARTS = {"settled on": SETTLED_ON, "held back": HELD_BACK}
_WARMED: dict[str, Rule] = {"LP-FT at 3e-4": lambda case: "lp_ft_3e-4", "LP-FT at 1e-3": lambda case: "lp_ft_1e-3"}
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Scores:
    """How a rule did on some scenarios.

    Attributes:
        count: Scenarios.
        near: Of them, ended within 1 point of the best single member in hindsight.
        near_or_noise: Ended within 1 point, or the 90 % interval of the paired difference holds 0.
        regret: Mean, in points.
        worst: The largest, in points.
        below_head: Ended below the head beyond noise: the 90 % interval of the paired difference is below 0.
        price: Mean multiple of one LP-FT at its best rate, over those that were run alone.
    """

    count: int
    near: int
    near_or_noise: int
    regret: float
    worst: float
    below_head: int
    price: float


def scores_of(name: str, rule: Rule, cases: Sequence[Case]) -> Scores:
    """Score a rule."""
    ended = [(case, rule(case)) for case in cases]
    rows = [case.reached[finisher] for case, finisher in ended]
    near = [row.to_best >= -1 - _ROUNDING for row in rows]
    return Scores(
        len(rows),
        sum(near),
        sum(is_near or row.to_best_high >= 0 for is_near, row in zip(near, rows, strict=True)),
        -mean(row.to_best for row in rows),
        -min(row.to_best for row in rows),
        sum(row.to_head_high < 0 for row in rows),
        mean(known) if (known := _prices(name, ended)) else nan,
    )


def _prices(name: str, ended: Sequence[tuple[Case, str]]) -> list[float]:
    found = [price(case, name, finisher) for case, finisher in ended]
    return [each for each in found if each is not None]


def parts_of(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Divide cases into those that settled the rule, those held back, and all."""
    parts = {part: [case for case in cases if case.dataset in sets] for part, sets in PARTS.items()}
    return {part: found for part, found in parts.items() if found} | {"all": list(cases)}


def table(cases: Sequence[Case]) -> str:
    """Return all rules as a Markdown table; each cell is of the sets settled on, held back, and all."""
    parts = parts_of(cases)
    counts = " / ".join(f"{len(found)}" for found in parts.values())
    lines = [
        f"| ends with ({' / '.join(parts)}: {counts} scenarios) | within 1 point | or within its interval | "
        "mean regret | worst | below the head beyond noise | price |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, rule in (CONSTANTS | RULES | VARIANTS).items():
        found = [scores_of(name, rule, part) for part in parts.values()]
        cells = [
            " / ".join(f"{each.near}" for each in found),
            " / ".join(f"{each.near_or_noise}" for each in found),
            " / ".join(f"{each.regret:.2f}" for each in found),
            " / ".join(f"{each.worst:.1f}" for each in found),
            " / ".join(f"{each.below_head}" for each in found),
            f"{found[-1].price:.1f} x",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def wanted(cases: Sequence[Case]) -> str:
    """Return what was wanted beside what was reached, as a Markdown table."""
    parts = parts_of(cases)
    ends = {part: scores_of("**shipped**", shipped, found) for part, found in parts.items()}
    name = "shipped, one network"
    alone = {part: scores_of(name, VARIANTS[name], found) for part, found in parts.items()}
    name = "shipped, of two rates"
    cheap = {part: scores_of(name, VARIANTS[name], found) for part, found in parts.items()}
    rows: list[tuple[str, str, Callable[[str], str]]] = [
        ("within 1 point of the best", ">= 90 %", lambda p: f"{100 * ends[p].near / ends[p].count:.0f} %"),
        (
            "within 1 point or the 90 % interval",
            ">= 90 %",
            lambda p: f"{100 * ends[p].near_or_noise / ends[p].count:.0f} %",
        ),
        ("mean regret, one network", "<= 0.3", lambda p: f"{alone[p].regret:.2f}"),
        ("mean regret, with the average", "<= 0", lambda p: f"{ends[p].regret:.2f}"),
        ("worst regret", "<= 2.5", lambda p: f"{ends[p].worst:.1f}"),
        ("below the head beyond noise", "never", lambda p: f"{ends[p].below_head} of {ends[p].count}"),
        ("wall time, all members / two rates", "<= 1.6 x", lambda p: f"{ends[p].price:.1f} / {cheap[p].price:.1f} x"),
    ]
    lines = [f"| figure | wanted | {' | '.join(parts)} |", f"| --- | --- |{' --- |' * len(parts)}"]
    return "\n".join([*lines, *(f"| {a} | {b} | {' | '.join(cell(p) for p in parts)} |" for a, b, cell in rows)])


def left_out(cases: Sequence[Case]) -> tuple[float, dict[str, str]]:
    """Choose the rule by all sets but one, and score it on that one.

    Returns:
        The mean regret over all scenarios, and the rule chosen for each set.
    """
    regrets = {name: [-case.reached[rule(case)].to_best for case in cases] for name, rule in RULES.items()}
    picked, lost = {}, list[float]()
    for dataset in dict.fromkeys(case.dataset for case in cases):
        inside = [place for place, case in enumerate(cases) if case.dataset == dataset]
        others = [place for place in range(len(cases)) if place not in inside]
        if others:
            best = min(RULES, key=lambda name: mean(regrets[name][place] for place in others))
            picked[dataset] = best
            lost += [regrets[best][place] for place in inside]
    return (mean(lost) if lost else 0.0), picked


def warm_up_gains(warm: Sequence[Case], cold: Sequence[Case]) -> str:
    """Return what rules and runs end with, without a warm-up and with one, as a Markdown table.

    Args:
        warm: Scenarios and seeds with it.
        cold: Without; those that `warm` has too count.
    """
    before = {(case.scenario, case.seed): case for case in cold}
    parts = parts_of([case for case in warm if (case.scenario, case.seed) in before])
    counts = " / ".join(f"{len(found)}" for found in parts.values())
    lines = [
        f"| test accuracy in % ({' / '.join(parts)}: {counts} scenarios) | without | with | least gain | most |",
        f"|{' --- |' * 5}",
    ]
    for name, rule in (_WARMED | RULES | VARIANTS).items():
        reached = {
            part: [
                [100 * each.reached[rule(each)].test_acc for each in (before[case.scenario, case.seed], case)]
                for case in found
            ]
            for part, found in parts.items()
        }
        means = (" / ".join(f"{mean(row[i] for row in rows):.1f}" for rows in reached.values()) for i in (0, 1))
        gains = [after - earlier for earlier, after in reached["all"]]
        lines.append(f"| {name} | {' | '.join(means)} | {min(gains):+.1f} | {max(gains):+.1f} |")
    return "\n".join(lines)


def best_epoch_costs(cases: Sequence[Case]) -> dict[str, float]:
    """Return the points lost where each member keeps the epoch that its validation accuracy liked best."""
    lost = {
        "LP-FT at 3e-4": [c.reached["lp_ft_3e-4"].test_acc - c.of_best_epoch["lp_ft_3e-4"].test_acc for c in cases],
        "shipped": [c.reached[shipped(c)].test_acc - c.of_best_epoch[shipped(c, epoch="best")].test_acc for c in cases],
    }
    return {name: 100 * mean(values) for name, values in lost.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settled", action="store_true")
    parser.add_argument("--cold", action="store_true")
    given = parser.parse_args()
    warm, cold = (
        [case for case in found if not given.settled or case.dataset in SETTLED_ON]
        for found in (read_warm(), read_cases())
    )
    print(warm_up_gains(warm, cold), "", sep="\n")
    cases = cold if given.cold else warm
    print(wanted(cases), "", table(cases), "", sep="\n")
    regret, picked = left_out(cases)
    print(f"rule chosen by all sets but one: mean regret {regret:.2f} on the one left out; {picked}")
    for name, lost in best_epoch_costs(cases).items():
        print(f"{name}, with the epoch of the best validation accuracy instead of the last: {lost:.2f} points lost")


if __name__ == "__main__":
    main()
