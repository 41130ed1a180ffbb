"""Let every rule choose in every case, and print what its choices reach.

    python -m benchmarks.networks.score --features FEATURES [--only pcb_defects]    # choices.csv, then the table
    python -m benchmarks.networks.score                                             # the table, from both files

What a network is worth in a set with so many labels is the mean over draws of what its head on all stages reaches.
Regret is what the best network has above the chosen one, in points. Draws of one set count as one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.choice.scenarios import HELD_BACK, SETS, SETTLED_ON
from benchmarks.networks.cases import cases, read_heads
from benchmarks.networks.rules import CONSTANTS, DEAR, SCHEDULES
from benchmarks.rows import append, read_rows

CHOICES = Path(__file__).parent / "choices.csv"
PARTS = {"settled on": SETTLED_ON, "held back": HELD_BACK}
_FEW = 25  # labels


@dataclass(frozen=True)
class Chosen:
    """What a rule chose in a case.

    Attributes:
        dataset: Of the case.
        labels: Of the case.
        draw: Of the case.
        rule: Its name.
        network: What it chose.
        share: Of the pictures that all networks would see if each saw all.
    """

    dataset: str
    labels: int
    draw: int
    rule: str
    network: str
    share: float


def worths() -> dict[tuple[str, int], dict[str, float]]:
    """Return for each set and number of labels what each network is worth, in points."""
    found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in read_heads():
        if each.stage == "all":
            found[each.dataset, each.labels][each.network].append(100 * each.test_acc)
    return {key: {name: mean(accs) for name, accs in own.items()} for key, own in found.items()}


def read_choices(path: Path = CHOICES) -> list[Chosen]:
    """Read what was chosen."""
    return read_rows(Chosen, path) if path.exists() else []


def table(chosen: Sequence[Chosen]) -> str:
    """Return all rules as a Markdown table; cells are of the sets settled on / held back."""
    worth = worths()
    lines = [
        "| chooses | mean regret, 25 labels | mean regret, 100 labels | worst | pictures through networks |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in (*CONSTANTS, *SCHEDULES, *DEAR):
        own = [each for each in chosen if each.rule == rule]
        cells = defaultdict[str, list[str]](list)
        for sets in PARTS.values():
            regrets = defaultdict[tuple[str, int], list[float]](list)
            for each in own:
                if each.dataset in sets:
                    of_case = worth[each.dataset, each.labels]
                    regrets[each.dataset, each.labels].append(max(of_case.values()) - of_case[each.network])
            means = {key: mean(values) for key, values in regrets.items()}
            for word, is_few in (("few", True), ("many", False)):
                values = [value for (_, labels), value in means.items() if (labels == _FEW) == is_few]
                cells[word].append(f"{mean(values):.2f}" if values else "-")
            cells["worst"].append(f"{max(means.values()):.1f}" if means else "-")
        share = f"{100 * mean(each.share for each in own):.0f} %" if own else "-"
        lines.append(f"| {rule} | {' | '.join(' / '.join(found) for found in cells.values())} | {share} |")
    return "\n".join(lines)


def main() -> None:
    """Choose where that has not been done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    given = parser.parse_args()
    done = {(each.dataset, each.labels, each.draw, each.rule) for each in read_choices()}
    for case in cases(given.features, tuple(given.only)) if given.features else ():
        for rule, choose in (CONSTANTS | SCHEDULES | (DEAR if case.labels == _FEW else {})).items():
            if (case.dataset, case.labels, case.draw, rule) not in done:
                name, share = choose(case)
                append(Chosen(case.dataset, case.labels, case.draw, rule, name, round(share, 4)), CHOICES)
        print(case.dataset, case.labels, case.draw, flush=True)
    print(table(read_choices()))


if __name__ == "__main__":
    main()
