"""Judge the rule on other tasks, and other recipes beside LP-FT: tables of docs/strategies.md.

    python -m benchmarks.choice.others [--answers ANSWERS]

With ANSWERS, which `fill` wrote, the lines of ``tasks.csv`` are written anew whose answers lie there; the tables come
from it and from ``runs.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.choice.averages import read_answers
from benchmarks.choice.members import Run, answers_path, read_runs
from benchmarks.choice.recipes import MEMBERS, WARM
from benchmarks.choice.scenarios import TASK_SCENARIOS, Scenario
from benchmarks.choice.tasks import TASKS
from benchmarks.rows import read_rows, write_rows
from tlearn.analysis.race.choice import Finisher, averages_of, choose
from tlearn.analysis.race.paired import image_scores, paired_interval
from tlearn.analysis.race.recipes import HEAD, LAST, TUNED
from tlearn.models.ensembles.average import averaged_outputs

TASK_RESULTS = Path(__file__).parent / "tasks.csv"
BESIDE_LP_FT = dict.fromkeys(("lp_ft_3e-4_flip", "scratch"), "lp_ft_3e-4") | {warm: name for name, warm in WARM.items()}
_UNITS = {"leaf_angle": "degrees", "xray_angle": "degrees", "hand_number": "the digit"}


@dataclass(frozen=True)
class Ended:
    """What the rule ended with on one scenario of another task.

    Attributes:
        scenario: Its name.
        finisher: What was chosen.
        score: Of it on the test images: share of labels right, or the mean absolute error, negative.
        best: The best single member in hindsight.
        best_score: Of that one.
        low: Lower end of the 90 % interval of the paired difference, chosen less best.
        high: Upper end.
    """

    scenario: str
    finisher: str
    score: float
    best: str
    best_score: float
    low: float
    high: float


def ended(scenario: Scenario, answers: Path) -> Ended:
    """Judge one scenario of which all members were run."""
    task = TASKS[scenario.dataset][1]
    found: dict[str, dict[str, Any]] = {
        member: {name: torch.from_numpy(value) for name, value in read_answers(path).items()}
        for member, path in zip(MEMBERS, _kept(scenario, answers), strict=True)
    }
    times_s = {run.member: run.time_s for run in read_runs() if run.scenario == scenario.name}

    def outputs(members: Sequence[str], split: str) -> torch.Tensor:
        return averaged_outputs(task, torch.stack([found[name][f"{split}_last"] for name in members]))

    singles = (LAST, HEAD, *TUNED)
    finishers = [
        Finisher(" + ".join(names), tuple(names), len(names), sum(times_s[n] for n in names), outputs(names, "val"))
        for names in [*((name,) for name in singles), *averages_of(singles)]
    ]
    chosen = choose(task, finishers, found[HEAD]["val_targets"]).finisher
    targets = found[HEAD]["test_targets"]
    scores = {name: image_scores(task, outputs([name], "test"), targets) for name in MEMBERS}
    best = max(MEMBERS, key=lambda name: float(scores[name].mean()))
    reached = image_scores(task, outputs(chosen.members, "test"), targets)
    low, high = paired_interval(reached - scores[best])
    values = (float(reached.mean()), float(scores[best].mean()), low, high)
    score, best_score, low, high = (round(value, 4) for value in values)
    return Ended(scenario.name, chosen.name, score, best, best_score, low, high)


def _kept(scenario: Scenario, answers: Path) -> list[Path]:
    """Return where the answers of each member lie."""
    return [answers_path(answers, scenario.name, member, 0) for member in MEMBERS]


def read_ended() -> list[Ended]:
    """Read what was judged."""
    return read_rows(Ended, TASK_RESULTS)


def tasks_table(results: Sequence[Ended], runs: Sequence[Run]) -> str:
    """Return each scenario: its members, what the rule ended with, and the best in hindsight, as Markdown."""
    reached = {(run.scenario, run.member): run.last_test_acc for run in runs if run.seed == 0}
    lines = [f"| set | {' | '.join(MEMBERS)} | ends with | less the best |", f"| --- |{' --- |' * (len(MEMBERS) + 2)}"]
    for each in results:
        dataset = each.scenario.rsplit("-", 2)[0]
        is_error = TASKS[dataset][1] == "regression"
        scale, places = (-1, 2) if is_error else (100, 1)
        cells = [f"{scale * reached[each.scenario, member]:.{places}f}" for member in MEMBERS]
        ends = (scale * (each.score - each.best_score), *sorted((scale * each.low, scale * each.high)))
        less = f"{ends[0]:+.{places}f} [{ends[1]:+.{places}f}, {ends[2]:+.{places}f}]"
        name = f"{dataset}, error in {_UNITS[dataset]}" if is_error else f"{dataset}, % of labels right"
        lines.append(f"| {name} | {' | '.join(cells)} | {scale * each.score:.{places}f}, {each.finisher} | {less} |")
    return "\n".join(lines)


def beside_table(runs: Sequence[Run]) -> str:
    """Return other recipes against LP-FT at their rate, where both were run: points gained, as Markdown."""
    reached = {(run.scenario, run.member, run.seed): 100 * run.last_test_acc for run in runs}
    gains: dict[tuple[str, str], list[float]] = {}
    for (scenario, member, seed), value in reached.items():
        dataset, labels, source = scenario.rsplit("-", 2)
        plain = reached.get((scenario, BESIDE_LP_FT.get(member, ""), seed))
        if plain is not None and dataset not in TASKS:
            gains.setdefault((member, f"{source}, {labels} labels"), []).append(value - plain)
    lines = ["| recipe | network | runs | mean gain | least | most |", f"|{' --- |' * 6}"]
    for (member, network), found in sorted(gains.items()):
        cells = f"{len(found)} | {mean(found):+.1f} | {min(found):+.1f} | {max(found):+.1f}"
        lines.append(f"| {member} | {network} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path)
    given = parser.parse_args()
    runs = read_runs()
    if given.answers:
        before = {each.scenario: each for each in read_ended()}
        whole = [each for each in TASK_SCENARIOS if all(path.exists() for path in _kept(each, given.answers))]
        judged = before | {each.name: ended(each, given.answers) for each in whole}
        write_rows(Ended, (judged[each.name] for each in TASK_SCENARIOS if each.name in judged), TASK_RESULTS)
    print(tasks_table(read_ended(), runs), "", beside_table(runs), sep="\n")


if __name__ == "__main__":
    main()
