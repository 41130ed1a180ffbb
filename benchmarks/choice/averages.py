"""What every member and every average of members reached, from the answers that `members` kept.

    python -m benchmarks.choice.averages --answers ANSWERS [--sets hymenoptera pcb_defects]

One line of ``averages.csv`` for each scenario, seed, epoch and finisher, so that a rule can be judged without the
answers: the true class's log-probability on each validation image is all that a rule of losses needs, also for
averages, whose probability is the mean of their members'. ``averages_warm.csv`` has the same with the runs of `WARM`
in place of those without a warm-up. Lines whose answers do not lie in ANSWERS stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.choice.members import answers_path, read_runs
from benchmarks.choice.recipes import AS_NAMED, MEMBERS, WARM
from benchmarks.choice.scenarios import SCENARIOS, SETS, SIZE_SCENARIOS, scenario_of
from benchmarks.rows import read_rows, write_rows
from tlearn.analysis.race.paired import image_losses, image_scores, paired_interval, standard_error
from tlearn.models.ensembles.average import averaged_outputs

AVERAGES = Path(__file__).parent / "averages.csv"
WARM_AVERAGES = AVERAGES.with_name("averages_warm.csv")
EPOCHS_KEPT = ("last", "best")  # the last of a run, and the one that its validation accuracy liked best, as `fit` keeps
TUNED = tuple(name for name in MEMBERS if name not in ("last", "head"))
JOINT = " + "


@dataclass(frozen=True)
class Reached:
    """One finisher of one scenario; accuracies are shares of 1, differences in points of 100.

    Attributes:
        scenario: Its name.
        seed: Of the draw and of the runs.
        epoch: One of `EPOCHS_KEPT`.
        finisher: Names of `MEMBERS`, joined by `JOINT`: their probabilities are averaged.
        val_images: How many.
        val_loss: Mean cross-entropy on them.
        val_loss_to_head: The same less that of the head.
        val_error_to_head: Standard error of that paired difference.
        val_acc: On the validation images.
        test_images: How many.
        test_acc: On the test images.
        to_best: Test accuracy less that of the best single member in hindsight.
        to_best_low: Lower end of its 90 % interval; the same image is compared with itself.
        to_best_high: Upper end.
        to_head: Test accuracy less that of the head.
        to_head_low: Lower end of its 90 % interval.
        to_head_high: Upper end.
        val_log_probabilities: Of the true class of each validation image, as JSON; empty for averages.
    """

    scenario: str
    seed: int
    epoch: str
    finisher: str
    val_images: int
    val_loss: float
    val_loss_to_head: float
    val_error_to_head: float
    val_acc: float
    test_images: int
    test_acc: float
    to_best: float
    to_best_low: float
    to_best_high: float
    to_head: float
    to_head_low: float
    to_head_high: float
    val_log_probabilities: str


def finishers() -> list[tuple[str, ...]]:
    """List the members of all finishers: singles, pairs, and triples of the tuned ones."""
    singles: list[tuple[str, ...]] = [(name,) for name in MEMBERS]
    return [*singles, *combinations(MEMBERS, 2), *combinations(TUNED, 3)]


def reached(scenario: str, seed: int, epoch: str, answers: dict[str, dict[str, Any]]) -> list[Reached]:
    """Judge all finishers of a scenario.

    Args:
        scenario: Its name.
        seed: Of its runs.
        epoch: One of `EPOCHS_KEPT`.
        answers: Name of each member to what `members` kept of it.
    """
    targets = {split: torch.from_numpy(answers["head"][f"{split}_targets"]) for split in ("val", "test")}
    outputs = {
        (members, split): averaged_outputs(
            "classification", torch.stack([torch.from_numpy(answers[name][f"{split}_{epoch}"]) for name in members])
        )
        for members in finishers()
        for split in ("val", "test")
    }
    losses = {m: image_losses("classification", outputs[m, "val"], targets["val"]) for m in finishers()}
    right = {m: image_scores("classification", outputs[m, "test"], targets["test"]) for m in finishers()}
    best = max(((name,) for name in MEMBERS), key=lambda single: float(right[single].mean()))
    rows = []
    for members in finishers():
        to_head = losses[members] - losses[("head",)]
        right_in_val = image_scores("classification", outputs[members, "val"], targets["val"])
        val = _rounded(float(losses[members].mean()), float(to_head.mean()), standard_error(to_head))
        single = json.dumps(_rounded(*(-losses[members]).tolist())) if len(members) == 1 else ""
        parts: list[Any] = [
            *(scenario, seed, epoch, JOINT.join(members), len(targets["val"]), *val),
            *(*_rounded(float(right_in_val.mean())), len(targets["test"]), *_rounded(float(right[members].mean()))),
            *(*_points(right[members] - right[best]), *_points(right[members] - right[("head",)]), single),
        ]
        rows.append(Reached(*parts))
    return rows


def read_answers(path: Path) -> dict[str, Any]:
    """Read what `members` kept of a run; logits are kept in half precision."""
    with np.load(path) as parts:
        return {name: value.astype(np.float32) if value.dtype == np.float16 else value for name, value in parts.items()}


def _rounded(*values: float) -> list[float]:
    return [round(value, 4) for value in values]


def _points(differences: Tensor) -> list[float]:
    """Return the mean of differences (N,) and the ends of its 90 % interval, in points of 100."""
    return [round(100 * value, 2) for value in (float(differences.mean()), *paired_interval(differences))]


def complete(sets: Sequence[str], names: Mapping[str, str] = AS_NAMED) -> Iterator[tuple[str, int]]:
    """Yield each scenario, and seed, of the blocks that were run as a whole.

    A block has one network and one number of labels: with a part of its sets it would weigh some sets more than others.

    Args:
        sets: Names of sets; the others count neither way.
        names: As what a member was run, if not as itself.
    """
    done = {(run.scenario, run.member, run.seed) for run in read_runs()}
    known = {each.name for each in (*SCENARIOS, *SIZE_SCENARIOS)}
    others = [scenario_of(name) for name in dict.fromkeys(name for name, *_ in done) if name not in known]
    blocks: dict[tuple[int, str], list[str]] = {}
    for scenario in [*SCENARIOS, *others]:
        if scenario.dataset in sets:
            blocks.setdefault((scenario.labels, scenario.source), []).append(scenario.name)
    ran = [names.get(member, member) for member in MEMBERS]
    for seed in sorted({seed for *_, seed in done}):
        for block in blocks.values():
            if all((name, member, seed) in done for name in block for member in ran):
                yield from ((name, seed) for name in block)


def read_averages(path: Path = AVERAGES) -> list[Reached]:
    """Read what was judged."""
    return read_rows(Reached, path)


def judged(answers: Path, found: Iterable[tuple[str, int]], names: Mapping[str, str]) -> Iterator[Reached]:
    """Judge the scenarios and seeds whose answers are kept.

    Args:
        answers: Where `members` kept them.
        found: The scenarios and seeds.
        names: As what a member was run, if not as itself.
    """
    for scenario, seed in found:
        paths = {name: answers_path(answers, scenario, names.get(name, name), seed) for name in MEMBERS}
        if all(path.exists() for path in paths.values()):
            kept = {name: read_answers(path) for name, path in paths.items()}
            for epoch in EPOCHS_KEPT:
                yield from reached(scenario, seed, epoch, kept)


def main() -> None:
    """Write the lines anew whose answers are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    given = parser.parse_args()
    for path, names in ((AVERAGES, AS_NAMED), (WARM_AVERAGES, WARM)):
        found = [*complete(given.sets, names)]
        rows: dict[tuple[str, int], list[Reached]] = {key: [] for key in found}
        for row in judged(given.answers, found, names):
            rows[row.scenario, row.seed].append(row)
        anew = {key for key, lines in rows.items() if lines}
        for row in read_averages(path) if path.exists() else []:
            if (row.scenario, row.seed) in rows and (row.scenario, row.seed) not in anew:
                rows[row.scenario, row.seed].append(row)
        write_rows(Reached, chain.from_iterable(rows.values()), path)
        print(f"{path.name}: {len(anew)} of {len(rows)} scenarios anew")


if __name__ == "__main__":
    main()
