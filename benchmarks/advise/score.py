"""Score the advice against what every candidate really reached, and fit the effects that it rests on.

    python -m benchmarks.advise.score          # the table, from results.csv and facts.jsonl
    python -m benchmarks.advise.score --fit    # the numbers of tlearn/analysis/effects.py

Two counts are printed: within 1 point of the best, and within 1 point or within the noise, the 90 % interval of the
difference of two shares of the test images. Single answers were not kept, so the two count as independent: answers of
the same images agree more than that, and the noise is somewhat less than said here.

Each scenario's advice uses effects fitted without its data set: CIFAR-10 with all its parts, ants and bees, or the
digits, each with all sizes and sources in one fold. A strategy's accuracy is that of its last epoch on test images,
mean over seeds. Regret is what the best candidate reached above the one that was advised. Intervals in brackets come
from a bootstrap over the seven kinds of images.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.advise.facts import FACTS
from benchmarks.advise.runs import RESULTS, Result, read_results
from benchmarks.advise.scenarios import SCENARIOS
from tlearn.analysis.candidates import Candidate
from tlearn.analysis.decision import (
    Decision,
    Effect,
    Gain,
    Gains,
    base_score,
    decide,
    inputs,
    kept_the_loss,
    logit,
    noise_of,
)
from tlearn.analysis.learning_curve import CurvePoint, Forecast
from tlearn.analysis.measurements import Measurements
from tlearn.analysis.pilots import PilotResult
from tlearn.analysis.probe import Probe
from tlearn.analysis.stage_probe import StageProbe

NAMES = ("frozen", "tap", "partial", "lp_ft", "full", "scratch")
FOLDS = {scenario.data: scenario.dataset for scenario in SCENARIOS}
_SPREADS = (0.3, 0.1, 0.3)  # of the coefficients before any run was seen: constant, doubling, pilot
_NOISE, _LEAST_DEVIATION = 0.3, 0.05
_POINT, _RESAMPLES = 0.01, 2000
_Z90, _TEST_IMAGES, _FEWER_TEST_IMAGES = 1.645, 1000, {"ants_bees": 153, "digits": 497, "high_digits": 236}
_BORE = 0.3  # loss that a trial could add before LP-FT was given up, in the rule before this one


@dataclass(frozen=True)
class Case:
    """One scenario and seed.

    Attributes:
        scenario: Its name.
        data: Kind of images.
        source: What the network had learned.
        labels: Of a class.
        seed: Of the draw.
        facts: Measured.
        time_s: Of the advice.
        reached: Candidate to the accuracy that it reached, mean over seeds.
        own: Candidate to the accuracy that it reached with this seed.
        times_s: Candidate to seconds, mean over seeds.
    """

    scenario: str
    data: str
    source: str
    labels: int
    seed: int
    facts: Measurements
    time_s: float
    reached: dict[str, float]
    own: dict[str, float]
    times_s: dict[str, float]

    @property
    def fold(self) -> str:
        """Name the data set."""
        return FOLDS[self.data]


def read_cases(facts: Path = FACTS, results: Path = RESULTS) -> list[Case]:
    """Read all scenarios of which the facts and at least the three ways to train were measured."""
    runs: dict[str, list[Result]] = defaultdict(list)
    for result in read_results(results):
        runs[result.scenario].append(result)
    cases = []
    for line in map(json.loads, facts.read_text().splitlines()):
        own = runs[line["scenario"]]
        names = {run.candidate for run in own if run.seed == line["seed"]}
        if not {"frozen", "tap", "partial", "lp_ft", "full"} <= names:
            continue
        about = own[0]
        cases.append(
            Case(
                about.scenario,
                about.data,
                about.source,
                about.labels,
                line["seed"],
                parse_facts(line["facts"]),
                line["time_s"],
                {n: mean(r.last_test_acc for r in own if r.candidate == n) for n in names},
                {r.candidate: r.last_test_acc for r in own if r.seed == line["seed"]},
                {n: mean(r.time_s for r in own if r.candidate == n) for n in names if n in NAMES},
            )
        )
    return cases


def parse_facts(stored: dict[str, Any]) -> Measurements:
    """Make facts of their JSON."""
    found = {"copies": 0, "shared": 0, **stored["probe"]}
    stages = [StageProbe(**each) for each in found["stages"]]
    times = {int(size): time_s for size, time_s in found["pass_time_s"].items()}
    probe = Probe(**{**found, "stages": stages, "best": StageProbe(**found["best"]), "pass_time_s": times})
    ahead = stored["forecast"]
    if ahead:
        ahead = Forecast(**{**ahead, "points": [CurvePoint(**point) for point in ahead["points"]]})
    parts = {
        "probe": probe,
        "last": StageProbe(**stored["last"]),
        "best": StageProbe(**stored["best"]),
        "start": StageProbe(**stored["start"]),
        "forecast": ahead,
    }
    parts |= {"pilots": [PilotResult(**each) for each in stored["pilots"]]}
    parts |= {"candidates": [Candidate(**each) for each in stored["candidates"]]}
    return Measurements(**{**stored, **parts})


def fit_gains(cases: Sequence[Case]) -> Gains:
    """Fit what LP-FT is worth beyond the solved head that advice would put in its place, by what the trial showed."""
    known = [case for case in cases if len(case.facts.taps) > 1 or case.facts.best == case.facts.last]
    found = []
    for kept in (True, False):
        own = [case for case in known if kept_the_loss(case.facts) is kept]
        gains = [logit(case.own["lp_ft"]) - logit(case.own[head_of(case)]) for case in own]
        found.append(Gain(round(mean(gains), 3), round(float(np.std(gains, ddof=1)), 3)))
    return Gains(*found)


def fit_effects(cases: Sequence[Case], left_out: Callable[[Case], str]) -> dict[str, Effect]:
    """Fit every strategy's effect by ridge regression; what remains is measured on data sets that were left out."""
    effects = {}
    for name in (name for name in NAMES if name != "lp_ft"):  # see `fit_gains`
        known = [case for case in cases if name in case.own]
        coefficients = _coefficients(known, name)
        rests = []
        for fold in {left_out(case) for case in known}:
            others = _coefficients([case for case in known if left_out(case) != fold], name)
            rests += [_rest(case, name, others) for case in known if left_out(case) == fold]
        noise = mean(noise_of(case.facts, name) ** 2 for case in known)
        deviation = math.sqrt(max(mean(rest**2 for rest in rests) - noise, _LEAST_DEVIATION**2))
        constant, doubling, pilot = (round(float(value), 3) for value in coefficients)
        effects[name] = Effect(constant, doubling, pilot, round(deviation, 3))
    return effects


def _row(case: Case, name: str) -> tuple[float, float, float]:
    one, doublings, gain = inputs(case.facts, name)
    return one, doublings, 0.0 if name == "scratch" else gain


def _coefficients(cases: Sequence[Case], name: str) -> Any:
    if not cases or name in ("frozen", "tap"):  # measured, never predicted
        return np.zeros(3)
    rows = np.array([_row(case, name) for case in cases])
    wanted = np.array([logit(case.own[name]) - logit(base_score(case.facts, name)) for case in cases])
    penalty = np.diag((_NOISE / np.array(_SPREADS)) ** 2)
    return np.linalg.solve(rows.T @ rows + penalty, rows.T @ wanted)


def _rest(case: Case, name: str, coefficients: Any) -> float:
    expected = logit(base_score(case.facts, name)) + float(np.dot(_row(case, name), coefficients))
    return logit(case.own[name]) - expected


def name_of(case: Case, candidate: Candidate) -> str:
    """Name a candidate as the results do, which have a head on every single stage."""
    single = candidate.name == "tap" and len(case.facts.taps) == 1
    return f"tap_{case.facts.taps[0]}" if single else candidate.name


def head_of(case: Case) -> str:
    """Name the solved head that advice would give, as the results do."""
    return name_of(case, [each for each in case.facts.candidates if not each.trains_backbone][-1])


def rule_before(case: Case) -> str:
    """Choose as advice did before it named prices: train, unless an earlier stage won or the trial went badly."""
    head = head_of(case)
    is_early = head.startswith("tap_")
    return head if is_early or inputs(case.facts, "lp_ft")[2] < -_BORE else "lp_ft"


def advise_unseen(cases: Sequence[Case]) -> dict[tuple[str, int], Decision]:
    """Advise on every case with effects fitted without its data set."""
    advice = {}
    for fold in {case.fold for case in cases}:
        others = [case for case in cases if case.fold != fold]
        effects, gains = fit_effects(others, lambda case: case.fold), fit_gains(others)
        for case in (case for case in cases if case.fold == fold):
            advice[case.scenario, case.seed] = decide(case.facts, effects, gains)
    return advice


def four_boxes(case: Case) -> str:
    """Choose as the tutorials do: much or little data, like or unlike the source."""
    like = case.source == "imagenet" and case.data not in ("digits", "high_digits")
    like = like or (case.source, case.data) in (("cifar5", "other_half"), ("digits5", "high_digits"))
    much = case.labels >= 100
    return {(True, True): "full", (True, False): "full", (False, True): "frozen", (False, False): "tap"}[much, like]


def best_constant(cases: Sequence[Case], names: Sequence[str]) -> str:
    """Return the strategy with the highest mean accuracy."""
    return max(names, key=lambda name: mean(case.reached.get(name, 0.0) for case in cases))


def best_cut(cases: Sequence[Case]) -> int:
    """Return the number of labels a class from which on LP-FT beats a head on all stages, on the mean."""
    cuts = [*sorted({case.labels for case in cases}), 10**9]
    return max(cuts, key=lambda cut: mean(case.reached["lp_ft" if case.labels >= cut else "tap"] for case in cases))


def choices(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return what each policy chooses for each case."""
    advice = advise_unseen(cases)
    names = ["frozen", "tap", "partial", "lp_ft", "full"]
    rest = {fold: [case for case in cases if case.fold != fold] for fold in {case.fold for case in cases}}
    found = {"advise": [name_of(case, advice[case.scenario, case.seed].choice.candidate) for case in cases]}
    found["the rule before: train, unless the trial raised the loss by 0.3"] = list(map(rule_before, cases))
    found["the solved head that advice names, never trained"] = list(map(head_of, cases))
    found |= {f"always {name}": [name] * len(cases) for name in names}
    found["four boxes"] = [four_boxes(case) for case in cases]
    found["best constant of the other data sets"] = [best_constant(rest[case.fold], names) for case in cases]
    found["cut-off by labels, of the other data sets"] = [
        "lp_ft" if case.labels >= best_cut(rest[case.fold]) else "tap" for case in cases
    ]
    return found


def regrets(cases: Sequence[Case], chosen: Sequence[str]) -> list[float]:
    """Return what was lost on the best candidate, in points."""
    return [100 * (max(c.reached.values()) - c.reached.get(name, 0.0)) for c, name in zip(cases, chosen, strict=True)]


def _is_hit(lost: float) -> bool:
    return lost <= 100 * _POINT + 1e-9


def within_noise(case: Case, lost: float) -> bool:
    """Tell whether what was lost on the best, in points, lies within the noise of the test images."""
    best = max(case.reached.values())
    spread = sum(share * (1 - share) for share in (best, best - lost / 100))
    noise = _Z90 * math.sqrt(spread / _FEWER_TEST_IMAGES.get(case.data, _TEST_IMAGES))
    return _is_hit(lost) or lost / 100 <= noise


def seconds_of(case: Case, name: str) -> float:
    """Return the seconds of a run; a head on a single stage takes as long as one on all."""
    return case.times_s["tap" if name.startswith("tap_") else name]


def interval(cases: Sequence[Case], values: Sequence[float]) -> tuple[float, float]:
    """Return the 90 % interval of a mean, by a bootstrap over kinds of images."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, value in zip(cases, values, strict=True):
        groups[case.data].append(value)
    kinds, random = list(groups), np.random.default_rng(0)
    means = []
    for _ in range(_RESAMPLES):
        drawn = [groups[kinds[k]] for k in random.integers(len(kinds), size=len(kinds))]
        means.append(mean(value for group in drawn for value in group))
    low, high = np.percentile(means, [5, 95])
    return float(low), float(high)


def table(cases: Sequence[Case]) -> str:
    """Write the scores of all policies as Markdown."""
    lines = [
        "| policy | within 1 point of the best | or the noise | mean regret | 90th percentile | worst | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for policy, chosen in choices(cases).items():
        lost = regrets(cases, chosen)
        hits = [float(_is_hit(value)) for value in lost]
        low, high = interval(cases, lost)
        near = mean(within_noise(case, value) for case, value in zip(cases, lost, strict=True))
        cells = [f"{100 * mean(hits):.0f} %", f"{100 * near:.0f} %", f"{mean(lost):.2f} [{low:.2f}, {high:.2f}]"]
        cells += [f"{np.percentile(lost, 90):.1f}", f"{max(lost):.1f}"]
        seconds = mean(seconds_of(case, name) for case, name in zip(cases, chosen, strict=True))
        lines.append(f"| {policy} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def facts_table(cases: Sequence[Case]) -> str:
    """Write what else was promised: intervals, seconds, cost."""
    advice = advise_unseen(cases)
    inside, ratios = [], []
    for case in cases:
        made = advice[case.scenario, case.seed]
        reached = case.own.get(name_of(case, made.choice.candidate), -1.0)
        inside.append(made.choice.low <= reached <= made.choice.high)
        ratios += [o.time_s / case.times_s[n] for o in made.outlooks if (n := o.candidate.name) in case.times_s]
    whole = sum(sum(case.times_s.values()) for case in cases)
    cost = sum(case.time_s for case in cases)
    near, share = 100 * mean(0.75 <= ratio <= 1.25 for ratio in ratios), 100 * cost / whole
    return "\n".join(
        [
            f"accuracy of the choice within its 90 % interval: {100 * mean(inside):.0f} % of {len(cases)}",
            f"cost of advice: {share:.1f} % of running every candidate once, {share / 3:.1f} % of three seeds each",
            f"predicted over real seconds: median {np.median(ratios):.2f}, 25 % near in {near:.0f} % of {len(ratios)}",
        ]
    )


def misses(cases: Sequence[Case]) -> str:
    """List the scenarios where advice lost more than a point."""
    advice = advise_unseen(cases)
    lines = []
    for case in cases:
        chosen = name_of(case, advice[case.scenario, case.seed].choice.candidate)
        (lost,) = regrets([case], [chosen])
        if not _is_hit(lost):
            best = max(case.reached, key=case.reached.__getitem__)
            reached = ", ".join(f"{name} {100 * value:.1f}" for name, value in _sorted(case.reached))
            lines.append(
                f"- {case.scenario}, seed {case.seed}: {chosen} in place of {best} lost {lost:.1f} ({reached})"
            )
    return "\n".join(lines)


def _sorted(reached: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(reached.items(), key=lambda item: -item[1])


def main() -> None:
    """Print the scores, or the fitted numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print the effects, fitted to all cases")
    arguments = parser.parse_args()
    cases = read_cases()
    if arguments.fit:
        for name, effect in fit_effects(cases, lambda case: case.fold).items():
            values = (effect.constant, effect.doubling, effect.pilot, effect.deviation)
            print(f'    "{name}": Effect({", ".join(map(str, values))}),')
        print(f"GAINS = {fit_gains(cases)}")
        return
    print(f"{len({case.scenario for case in cases})} scenarios, {len(cases)} with their seeds\n")
    print(f"{table(cases)}\n\n{facts_table(cases)}\n\n{misses(cases)}")


if __name__ == "__main__":
    main()
