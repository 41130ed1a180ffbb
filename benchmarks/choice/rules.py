"""The cases of the benchmark, and the rules that are compared on them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.choice.averages import AVERAGES, JOINT, WARM_AVERAGES, Reached, read_averages
from benchmarks.choice.members import CPU_RUNS, RUNS, read_runs
from benchmarks.choice.recipes import AS_NAMED, MEMBERS, WARM
from tlearn.analysis.race.choice import Finisher, averages_of, choose, simplest
from tlearn.analysis.race.halving import RUNG_SHARE, going_on, rungs
from tlearn.analysis.race.paired import standard_error
from tlearn.analysis.race.recipes import HEAD, LAST, TUNED
from tlearn.models.ensembles.average import averaged_outputs

SINGLES = (LAST, HEAD, *TUNED)  # the likeliest trained one first


@dataclass(frozen=True)
class Case:
    """One scenario and seed.

    Attributes:
        scenario: Its name.
        seed: Of the draw and of the runs.
        reached: Finisher to what its last epoch reached.
        of_best_epoch: Finisher to what it reached with the epoch that validation accuracy liked best.
        times_s: Member to the seconds of its fit, side by side with others on a GPU.
        alone_s: The same on a CPU, each run alone, of whatever seed; empty where that was not run.
        val_losses: Member to its loss on validation after each epoch.
    """

    scenario: str
    seed: int
    reached: dict[str, Reached]
    of_best_epoch: dict[str, Reached]
    times_s: dict[str, float]
    alone_s: dict[str, float]
    val_losses: dict[str, list[float]]

    @property
    def dataset(self) -> str:
        """Name the set."""
        return self.scenario.rsplit("-", 2)[0]

    def finisher(self, members: Sequence[str], epoch: str = "last") -> Finisher:
        """Make what `choose` is given: of two classes, right and wrong, with the same losses as the real ones."""
        rows = self.reached if epoch == "last" else self.of_best_epoch
        right = torch.tensor([json.loads(rows[member].val_log_probabilities) for member in members]).clamp_max(-1e-6)
        outputs = torch.stack([right, torch.log1p(-right.exp())], dim=2)
        name = JOINT.join(sorted(members, key=MEMBERS.index))
        time_s = sum(self.times_s[member] for member in members)
        return Finisher(name, tuple(members), len(members), time_s, averaged_outputs("classification", outputs))

    def loss(self, member: str) -> float:
        """Return a member's loss on validation."""
        return self.reached[member].val_loss


Rule = Callable[[Case], str]


def read_cases(
    averages: Path = AVERAGES,
    runs: Path = RUNS,
    alone: Path = CPU_RUNS,
    names: Mapping[str, str] = AS_NAMED,
) -> list[Case]:
    """Read all scenarios that were judged.

    Args:
        averages: What `averages` judged.
        runs: What `fill` ran.
        alone: Runs of which each was alone, for their seconds.
        names: As what a member of the averages was run, if not as itself.
    """
    rows: dict[tuple[str, int], dict[str, dict[str, Reached]]] = defaultdict(lambda: {"last": {}, "best": {}})
    for row in read_averages(averages):
        rows[row.scenario, row.seed][row.epoch][row.finisher] = row
    found = {(run.scenario, run.seed, run.member): run for run in read_runs(runs)}
    alone_s: dict[str, dict[str, float]] = defaultdict(dict)
    for run in read_runs(alone):
        alone_s[run.scenario][run.member] = run.time_s
    cases = []
    for (scenario, seed), by_epoch in rows.items():
        ran = {member: found[scenario, seed, names.get(member, member)] for member in MEMBERS}
        times_s = {member: run.time_s for member, run in ran.items()}
        val_losses = {member: json.loads(run.val_losses) for member, run in ran.items()}
        reached = by_epoch["last"], by_epoch["best"]
        cases.append(Case(scenario, seed, *reached, times_s, alone_s.get(scenario, {}), val_losses))
    return cases


def read_warm() -> list[Case]:
    """Read the scenarios whose runs warmed up as those of a race do."""
    return read_cases(WARM_AVERAGES, names=WARM)


def shipped(case: Case, members: Sequence[str] = SINGLES, averages: bool = True, epoch: str = "last") -> str:
    """Return what `choose` ends with when these members were run."""
    offered = [*((member,) for member in members), *(averages_of(members) if averages else [])]
    finishers = [case.finisher(each, epoch) for each in offered]
    targets = torch.zeros(len(finishers[0].outputs), dtype=torch.long)
    return choose("classification", finishers, targets).finisher.name


def gone_on(case: Case, share: float = RUNG_SHARE) -> list[str]:
    """Return the two trained members that go on, by their loss after a share of their epochs."""
    after = {member: case.val_losses[member] for member in TUNED}
    epochs = len(after[TUNED[0]])
    rung = rungs(epochs)[0] if share == RUNG_SHARE else max(1, -int(-share * epochs // 1))
    return going_on({member: losses[rung - 1] for member, losses in after.items()}, 2)


def one_error(case: Case) -> str:
    """Return the simplest single member within one standard error of the least loss."""
    finishers = {member: case.finisher((member,)) for member in SINGLES}
    losses = {name: -each.outputs.log_softmax(dim=1)[:, 0] for name, each in finishers.items()}
    best = losses[min(SINGLES, key=case.loss)]
    within = [name for name, loss in losses.items() if float((loss - best).mean()) <= standard_error(loss - best)]
    return simplest([finishers[name] for name in within]).name


def joint(*members: str) -> str:
    """Name the average of members."""
    return JOINT.join(sorted(members, key=MEMBERS.index))


def _two_best(case: Case) -> str:
    return joint(*sorted(TUNED, key=case.loss)[:2])


CONSTANTS: dict[str, Rule] = {
    "head on all stages": lambda case: HEAD,
    "LP-FT at 1e-4": lambda case: "lp_ft_1e-4",
    "LP-FT at 3e-4": lambda case: "lp_ft_3e-4",
    "the deeper half at 3e-4": lambda case: "partial_3e-4",
    "average of head and LP-FT at 3e-4": lambda case: joint(HEAD, "lp_ft_3e-4"),
    "average of LP-FT at 1e-4 and 3e-4": lambda case: joint("lp_ft_1e-4", "lp_ft_3e-4"),
}
RULES: dict[str, Rule] = {
    "single with the least loss": lambda case: min(SINGLES, key=case.loss),
    "simplest single within one standard error": one_error,
    "average of head and best trained": lambda case: joint(HEAD, min(TUNED, key=case.loss)),
    "average of the two best trained": _two_best,
    "**shipped**": shipped,
}
VARIANTS: dict[str, Rule] = {
    "shipped, one network": lambda case: shipped(case, averages=False),
    "shipped, of two rates": lambda case: shipped(case, (LAST, HEAD, "lp_ft_3e-4", "lp_ft_1e-4")),
    "shipped, two go on after half the epochs": lambda case: shipped(case, (LAST, HEAD, *gone_on(case))),
    "shipped, two go on after 0.3 of them": lambda case: shipped(case, (LAST, HEAD, *gone_on(case, 0.3))),
}


def price(case: Case, rule: str, finisher: str) -> float | None:
    """Return the seconds that a rule takes, as a multiple of one LP-FT at the rate that was best in hindsight.

    On a GPU, side by side, what a run is set up with hides what its epochs take, so only runs that were alone count.
    """
    times_s = case.alone_s
    if len(times_s) < len(MEMBERS):
        return None
    rates = [name for name in TUNED if name.startswith("lp_ft")]
    one_s = times_s[max(rates, key=lambda name: case.reached[name].test_acc)]
    heads_s = times_s[LAST] + times_s[HEAD]
    if rule in CONSTANTS:
        spent_s = sum(times_s[name] for name in finisher.split(JOINT))
    elif "two go on" in rule:
        share = RUNG_SHARE if "half" in rule else 0.3
        on = gone_on(case, share)
        spent_s = heads_s + sum(times_s[name] * (1 if name in on else share) for name in TUNED)
    elif "of two rates" in rule:
        spent_s = heads_s + times_s["lp_ft_3e-4"] + times_s["lp_ft_1e-4"]
    else:
        spent_s = heads_s + sum(times_s[name] for name in TUNED)
    return spent_s / one_s
