"""The members of a race are those that the benchmark of the choice ran."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from benchmarks.choice import recipes, scenarios
from tlearn.analysis.race.recipes import (
    CHOSEN,
    HEAD,
    LAST,
    RANDOM,
    SCRATCH,
    TUNED,
    epochs_of,
    heads_of,
    options_of,
    times_of,
    tuned_of,
)
from tlearn.training.module import TransferModule

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


def ran(member: str) -> dict[str, Any]:
    """What the lines of ``benchmarks/choice/runs.csv`` were run with; `recipes.WARM` where there is one."""
    if member in ("last", "head"):
        return {"freeze_backbone": True, "head_solver": "lbfgs"} | ({"tap": [*STAGES]} if member == "head" else {})
    options = {
        "head_init": "probe",
        "batch_norm": "fixed",
        "tap": [*STAGES],
        "optimizer": {"class_path": "AdamW", "init_args": {"lr": float(member.rpartition("_")[2])}},
        "lr_scheduler": {"class_path": "CosineAnnealingLR", "init_args": {"T_max": 10}},
    }
    return options | {"partial_3e-4": {"freeze_until": "layer2"}, "lp_ft_1e-4": {}}.get(member, {"warmup_epochs": 1})


@pytest.mark.parametrize("member", [LAST, HEAD, *TUNED])
def test_each_member_is_that_of_the_benchmark(member: str) -> None:
    default = {name: value.default for name, value in inspect.signature(TransferModule).parameters.items()}
    told = {name: value for name, value in options_of(member, STAGES, 10).items() if value != default[name]}
    assert told == ran(member)


def test_all_members_of_the_benchmark_race() -> None:
    assert {LAST, HEAD, *TUNED} == set(recipes.MEMBERS)
    for member in recipes.MEMBERS:
        raced = recipes.recipe_of(recipes.WARM.get(member, member), STAGES, 10, "classification").model
        assert raced == options_of(member, STAGES, 10)
        cold = recipes.recipe_of(member, STAGES, 10, "classification").model
        assert cold == options_of(member, STAGES, 10) | {"warmup_epochs": None}


def test_a_run_of_one_epoch_has_no_time_to_warm_up() -> None:
    assert options_of("lp_ft_3e-4", STAGES, 1)["warmup_epochs"] is None
    assert options_of("lp_ft_3e-4", STAGES, 2)["warmup_epochs"] == 1


@pytest.mark.parametrize(("labels", "epochs"), scenarios.EPOCHS.items())
def test_epochs_are_those_of_the_benchmark(labels: int, epochs: int) -> None:
    assert epochs_of(labels) == epochs


@pytest.mark.parametrize(("images", "epochs"), [(1, 16), (10, 16), (10.5, 10), (50, 10), (51, 6), (200, 6), (201, 3)])
def test_more_images_make_fewer_epochs(images: float, epochs: int) -> None:
    assert epochs_of(images) == epochs


def test_a_recipe_sets_back_what_a_config_may_have_set() -> None:
    for member in (LAST, HEAD, *TUNED):
        assert set(CHOSEN) - set(options_of(member, STAGES, 10)) <= {"optimizer"}
    assert options_of("lp_ft_1e-4", STAGES, 10)["freeze_backbone"] is False


def test_a_network_of_one_stage_has_one_head_and_no_half_of_it_is_frozen() -> None:
    assert heads_of(["all"]) == (LAST,)
    assert tuned_of(["all"]) == ("lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3")
    assert options_of("lp_ft_3e-4", ["all"], 3)["tap"] is None


def test_other_tasks_have_the_same_members_as_far_as_a_head_can_be_solved() -> None:
    assert options_of(LAST, STAGES, 10, "regression")["head_solver"] == "ridge"
    head = options_of(HEAD, STAGES, 10, "multilabel")
    assert (head["head_solver"], head["freeze_backbone"]) == ("sgd", True)
    assert options_of("lp_ft_3e-4", STAGES, 10, "multilabel")["head_init"] == "random"


def test_from_scratch_joins_last_where_random_features_come_near_and_is_first_without_weights() -> None:
    assert tuned_of(STAGES) == TUNED
    assert tuned_of(STAGES, random_is_near=True) == (*TUNED, SCRATCH)
    assert tuned_of(STAGES, has_weights=False) == (SCRATCH, "lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3")


def test_from_scratch_has_random_weights_three_times_the_epochs_and_statistics_that_follow() -> None:
    told = options_of(SCRATCH, STAGES, 10)
    assert told["weights"] is None
    assert (told["tap"], told["batch_norm"], told["head_init"]) == (None, "follows", "random")
    assert told["optimizer"] == {"class_path": "AdamW", "init_args": {"lr": 1e-3}}
    assert told["lr_scheduler"] == {"class_path": "CosineAnnealingLR", "init_args": {"T_max": 30}}
    assert [times_of(name) for name in (*TUNED, SCRATCH)] == [1, 1, 1, 1, 3]
    assert options_of(RANDOM, STAGES, 10) == {**options_of(HEAD, STAGES, 10), "weights": None}
