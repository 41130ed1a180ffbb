"""The benchmark of the choice judges answers, and scores rules on what it judged."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.choice import averages, fill, networks, others, recipes, rules, score, tasks
from benchmarks.choice.members import Run, read_runs
from benchmarks.choice.recipes import MEMBERS
from benchmarks.choice.scenarios import Scenario, scenario_of
from benchmarks.rows import append, write_rows

# What each member gives the right one of two classes above the wrong one, in validation and in test.
SURE = {
    "last": 0.1,
    "head": 0.3,
    "lp_ft_1e-4": 1.5,
    "lp_ft_3e-4": 2.0,
    "lp_ft_1e-3": -1.0,
    "partial_3e-4": 1.0,
}


def answers(seed: int) -> dict[str, dict[str, Any]]:
    """Make logits of two classes: the surer a member, the more images it has right."""
    rng = np.random.default_rng(seed)
    targets = {"val": rng.integers(0, 2, 24), "test": rng.integers(0, 2, 200)}
    found: dict[str, dict[str, Any]] = {}
    for member in MEMBERS:
        found[member] = {f"{split}_targets": given for split, given in targets.items()}
        for split, given in targets.items():
            margins = SURE[member] + rng.normal(size=len(given))
            logits = np.stack([np.where(given == 0, margins, -margins), np.zeros(len(given))], axis=1)
            found[member] |= {f"{split}_last": logits.astype(np.float32), f"{split}_best": logits.astype(np.float32)}
    return found


@pytest.fixture
def cases(tmp_path: Path) -> list[rules.Case]:
    """Write both files as the benchmark does, for a set of each part, and read the cases."""
    names = ("pcb_defects-25-lite0", "grocery_fine-25-lite0")
    kept = ((name, answers(number)) for number, name in enumerate(names))
    judged = (averages.reached(name, 0, epoch, given) for name, given in kept for epoch in averages.EPOCHS_KEPT)
    write_rows(averages.Reached, chain.from_iterable(judged), tmp_path / "averages.csv")
    for name in names:
        for member in MEMBERS:
            time_s = 2.0 if member in ("last", "head") else 40.0
            losses = str([3 - SURE[member]] * (1 if time_s == 2.0 else 10))
            append(Run(name, member, 0, 200, 0.5, 0.5, 24, losses, time_s, "CPU", ""), tmp_path / "runs.csv")
    return rules.read_cases(tmp_path / "averages.csv", tmp_path / "runs.csv", tmp_path / "runs.csv")


def test_finishers_have_the_losses_of_the_real_answers(cases: list[rules.Case]) -> None:
    rows = {row.finisher: row for row in averages.reached("pcb_defects-25-lite0", 0, "last", answers(0))}
    assert len(rows) == 6 + 15 + 4
    single = cases[0].finisher(("lp_ft_1e-4", "lp_ft_3e-4"))
    assert float(-single.outputs[:, 0].mean()) == pytest.approx(rows[single.name].val_loss, abs=2e-4)
    assert (single.passes, single.time_s) == (2, 80.0)
    assert rows["lp_ft_3e-4"].to_best == pytest.approx(0)
    assert rows["last"].to_best < -10
    assert rows["head"].to_head == 0.0
    assert rows["head"].to_head_low < 0 < rows["head"].to_head_high


def test_rules_end_with_what_they_say(cases: list[rules.Case]) -> None:
    ends = {name: rule(cases[0]) for name, rule in (rules.CONSTANTS | rules.RULES | rules.VARIANTS).items()}
    assert ends["head on all stages"] == "head"
    assert ends["single with the least loss"] == "lp_ft_3e-4"
    assert ends["average of head and best trained"] == "head + lp_ft_3e-4"
    assert ends["average of the two best trained"] == "lp_ft_1e-4 + lp_ft_3e-4"
    assert "lp_ft_1e-3" not in ends["**shipped**"]
    assert rules.gone_on(cases[0]) == ["lp_ft_3e-4", "lp_ft_1e-4"]
    assert rules.price(cases[0], "LP-FT at 3e-4", "lp_ft_3e-4") == pytest.approx(1.0)
    assert rules.price(cases[0], "**shipped**", "") == pytest.approx((2 * 2 + 4 * 40) / 40)
    assert rules.price(cases[0], "shipped, two go on after half the epochs", "") == pytest.approx((4 + 120) / 40)


def test_tables_have_each_part(cases: list[rules.Case]) -> None:
    lines = score.table(cases).splitlines()
    assert lines[0].startswith("| ends with (settled on / held back / all: 1 / 1 / 2 scenarios) |")
    assert len(lines) == 2 + len(rules.CONSTANTS | rules.RULES | rules.VARIANTS)
    last = score.wanted(cases).splitlines()[-1]
    assert last.startswith("| wall time, all members / two rates | <= 1.6 x | 4.1 / 2.1 x |")
    regret, picked = score.left_out(cases)
    assert set(picked) == {"pcb_defects", "grocery_fine"}
    assert regret < 5
    assert score.best_epoch_costs(cases) == {"LP-FT at 3e-4": 0.0, "shipped": 0.0}


def test_a_warm_up_gains_what_its_runs_gain(cases: list[rules.Case]) -> None:
    better = replace(cases[0].reached["lp_ft_3e-4"], test_acc=cases[0].reached["lp_ft_3e-4"].test_acc + 0.02)
    warm = [replace(cases[0], reached=cases[0].reached | {"lp_ft_3e-4": better}), cases[1]]
    lines = score.warm_up_gains(warm, cases).splitlines()
    assert lines[0].startswith("| test accuracy in % (settled on / held back / all: 1 / 1 / 2 scenarios) | without |")
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]
    gains = {name: tuple(cells[-2:]) for name, *cells in rows}
    assert gains["LP-FT at 3e-4"] == ("+0.0", "+2.0")
    assert gains["LP-FT at 1e-3"] == ("+0.0", "+0.0")
    assert {*rules.RULES, *rules.VARIANTS} < set(gains)


def test_what_was_judged_stays_where_its_answers_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of one block; the second time only one of them has its answers."""
    names = [f"{dataset}-25-lite0" for dataset in ("one", "two")]
    ran = [*MEMBERS, *recipes.WARM.values()]
    runs = [Run(name, member, 0, 200, 0.5, 0.5, 24, "[1.0]", 2.0, "CPU", "") for name in names for member in ran]
    monkeypatch.setattr(averages, "read_runs", lambda: runs)
    monkeypatch.setattr(averages, "AVERAGES", tmp_path / "averages.csv")
    monkeypatch.setattr(averages, "WARM_AVERAGES", tmp_path / "averages_warm.csv")
    for number, name in enumerate(names):
        for member, kept in answers(number).items():
            np.savez(tmp_path / f"{name}-{member}-0.npz", **kept)
            if member in recipes.WARM:  # with a warm-up it answers as another one does
                np.savez(tmp_path / f"{name}-{recipes.WARM[member]}-0.npz", **answers(number)["head"])
    words = ["averages", "--answers", str(tmp_path), "--sets", "one", "two"]
    monkeypatch.setattr("sys.argv", words)
    averages.main()
    first = [averages.read_averages(path) for path in (averages.AVERAGES, averages.WARM_AVERAGES)]
    assert [len(rows) for rows in first] == [2 * 2 * 25] * 2
    cold, warm = ({row.finisher: row for row in rows if row.scenario == names[0]} for rows in first)
    assert warm["lp_ft_3e-4"].test_acc == warm["head"].test_acc == cold["head"].test_acc != cold["lp_ft_3e-4"].test_acc
    for path in tmp_path.glob(f"{names[1]}-*"):
        path.unlink()
    averages.main()
    assert [averages.read_averages(path) for path in (averages.AVERAGES, averages.WARM_AVERAGES)] == first


def test_tables_of_the_document_are_what_score_prints() -> None:
    text = (Path(__file__).parents[2] / "docs/strategies.md").read_text(encoding="utf-8")
    warm, cold = rules.read_warm(), rules.read_cases()
    tables = (score.wanted(warm), score.table(warm), score.warm_up_gains(warm, cold), score.wanted(cold))
    assert [len(table.splitlines()) for table in tables] == [9, 17, 13, 9]
    assert [row for table in tables for row in table.splitlines() if f"\n{row}\n" not in text] == []


def test_networks_sizes_tasks_and_recipes_of_the_document_are_what_the_benchmark_prints() -> None:
    text = (Path(__file__).parents[2] / "docs/strategies.md").read_text(encoding="utf-8")
    found, runs = networks.reached(), read_runs()
    tables = (
        networks.frozen(found),
        networks.sizes(found),
        others.tasks_table(others.read_ended(), runs),
        others.beside_table(runs),
    )
    assert [len(table.splitlines()) for table in tables[:2]] == [2 + 5, 2 + 2]
    assert [row for table in tables for row in table.splitlines() if f"\n{row}\n" not in text] == []


def test_what_is_missing_is_run_members_of_a_race_first() -> None:
    given = argparse.Namespace(root=None, weights=None, out=None, seeds=[0, 7], members=["scratch", "head"])
    given.only = ["pcb_defects-25-lite0", "my_cells-10-nothing"]
    jobs = [(job.scenario.name, job.member, job.seed) for job in fill.jobs_of(given)]
    assert jobs[:3] == [("my_cells-10-nothing", "head", 0), *((name, "head", 7) for name in given.only)]
    assert {member for _, member, _ in jobs[3:]} == {"scratch"}


def test_what_is_judged_beside_a_race_differs_in_what_its_name_says() -> None:
    stages, plain = ("stem", "layer1", "layer2"), recipes.recipe_of("lp_ft_3e-4", ["a", "b", "c"], 10, "classification")
    warm, flip, scratch, head = (
        recipes.recipe_of(name, stages, 10, "classification")
        for name in ("lp_ft_3e-4_warm", "lp_ft_3e-4_flip", "scratch", "random_head")
    )
    assert (plain.augment, flip.augment, warm.model["warmup_epochs"]) == ({}, {"flip": True}, 1)
    assert (scratch.epochs, scratch.knows_nothing, scratch.model["head_init"]) == (30, True, "random")
    assert (scratch.model["batch_norm"], scratch.model["lr_scheduler"]["init_args"]["T_max"]) == ("follows", 30)
    assert (head.knows_nothing, head.model["tap"], plain.knows_nothing) == (True, [*stages], False)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_sets_of_other_tasks_are_made_of_pictures_that_no_two_splits_share(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.arange(60) % 4
    shown = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None] * 2, (60, 3, 128, 128))
    monkeypatch.setattr(tasks, "pools", lambda dataset, root: (list("abcd"), (shown, numbers), (shown + 120, numbers)))
    tasks.draw_task(name, 2, 0, tmp_path, tmp_path / "drawn.pt")
    drawn = torch.load(tmp_path / "drawn.pt", weights_only=True)
    grey = {
        split: set(drawn[split][0][:, 0, 64 - 2 :: 64, 64 - 2 :: 64].unique().tolist()) for split in ("train", "val")
    }
    assert not (grey["train"] - {0}) & (grey["val"] - {0})
    images, targets = drawn["train"]
    assert (len(images), images.dtype, targets.dtype) == (20, torch.uint8, torch.float32)
    assert len(drawn["val"][0]) == 5
    if drawn["task"] == "regression":
        assert targets.shape == (20, 1)
        assert drawn["class_names"] == []
    else:
        assert set(targets.unique().tolist()) == {0.0, 1.0}
        assert 1 <= int(targets.sum(dim=1).min()) <= int(targets.sum(dim=1).max()) <= 4


def test_a_set_of_your_own_has_scenarios() -> None:
    assert scenario_of("my-cells-25-lite0") == Scenario("my-cells", 25, "lite0")
    with pytest.raises(SystemExit, match="expected SET-LABELS-NETWORK"):
        scenario_of("cells-7-lite0")
