"""What each member of a race trains, as options of the model. `benchmarks/choice` runs the same ones.

A recipe also sets back whatever else decides what trains, and at which rates: a config may have set it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlearn.base.types import Task

LAST, HEAD = "last", "head"  # heads: on the last stage, and on all stages side by side
RANDOM = "random_head"  # the same as `HEAD` on a network with random weights
HEADS = (LAST, HEAD, RANDOM)
TUNED = ("lp_ft_3e-4", "lp_ft_1e-4", "lp_ft_1e-3", "partial_3e-4")  # the likeliest to win comes first
SCRATCH = "scratch"  # the whole network from random weights
FEWEST_STAGES = 3  # below, a half of the stages is too little to freeze for `partial`
_HEAD_EPOCHS, _HEAD_RATE = 20, 1e-3  # of a head that nothing solves: on kept features they take seconds
_EPOCHS = ((10, 16), (50, 10), (200, 6))  # up to so many training images a class; more make more steps in an epoch
_FEWEST_EPOCHS = 3
_WARMED = ("lp_ft_3e-4", "lp_ft_1e-3")  # whose first steps at the whole rate can break what the network knows
_SCRATCH_TIMES, _SCRATCH_RATE = 3, 1e-3  # a network that knows nothing has so many times the epochs
_SET_BACK: dict[str, Any] = {
    "freeze_backbone": False,
    "freeze_until": None,
    "lr_scales": None,
    "rules": None,
    "unfreeze": None,
    "unfreeze_warmup_steps": 0,
    "head_init": "random",
    "l2_sp": None,
    "wise_ft": False,
    "head_solver": "sgd",
    "lr_scheduler": None,
    "lr_interval": None,
    "warmup_steps": None,
    "warmup_epochs": None,
}
CHOSEN = (*_SET_BACK, "optimizer")  # options of the model that a race sets: nobody else can


def heads_of(stages: Sequence[str]) -> tuple[str, ...]:
    """Return the heads of a network with these stages; of one alone there is one head."""
    return (LAST, HEAD) if len(stages) > 1 else (LAST,)


def tuned_of(stages: Sequence[str], has_weights: bool = True, random_is_near: bool = False) -> tuple[str, ...]:
    """Return the trained members of a network with these stages, the likeliest first.

    Args:
        stages: The stages that can be tapped.
        has_weights: It knows something. Else training from scratch comes first, and freezing half of it makes no sense.
        random_is_near: A head on random weights came near the best one, so that training from scratch joins, last.
    """
    can_freeze = has_weights and len(stages) >= FEWEST_STAGES
    usual = tuple(name for name in TUNED if not name.startswith("partial") or can_freeze)
    if not has_weights:
        return (SCRATCH, *usual)
    return (*usual, SCRATCH) if random_is_near else usual


def times_of(member: str) -> int:
    """Return how many times the epochs of the others a trained member has."""
    return _SCRATCH_TIMES if member == SCRATCH else 1


def epochs_of(images_a_class: float) -> int:
    """Return how many epochs a trained member has: fewer images make fewer steps in one."""
    return next((epochs for most, epochs in _EPOCHS if images_a_class <= most), _FEWEST_EPOCHS)


def head_epochs_of(task: Task) -> int:
    """Return how many epochs a head has: one, where it is solved."""
    return _HEAD_EPOCHS if task == "multilabel" else 1


def options_of(
    member: str, stages: Sequence[str], epochs: int, task: Task = "classification", keeps_tap: bool = False
) -> dict[str, Any]:
    """Return a member's options of the model.

    Args:
        member: One of `HEADS` or of `TUNED`, or `SCRATCH`.
        stages: The stages that can be tapped, from the first on.
        epochs: How many epochs a trained member has, `SCRATCH` as many times as `times_of` says; its rates fall to 0
            over them. In the first of several, those of LP-FT from 3e-4 on rise.
        task: Heads of several labels an image are trained, not solved.
        keeps_tap: The tap is said elsewhere.
    """
    tap = {} if keeps_tap else {"tap": None if member in (LAST, SCRATCH) or len(stages) == 1 else [*stages]}
    nothing = {"weights": None} if member in (RANDOM, SCRATCH) else {}
    if member in HEADS:
        return {**_SET_BACK, **tap, **nothing, "freeze_backbone": True, **_head(task)}
    if member == SCRATCH:
        falling = _falling(_SCRATCH_RATE, epochs * times_of(member))
        return {**_SET_BACK, **tap, **nothing, "batch_norm": "follows", **falling}
    kind, rate = member.rsplit("_", 1)
    return {
        **_SET_BACK,
        **tap,
        "head_init": "random" if task == "multilabel" else "probe",
        "batch_norm": "fixed",
        **_falling(float(rate), epochs),
        **({"warmup_epochs": 1} if member in _WARMED and epochs > 1 else {}),
        **({"freeze_until": stages[len(stages) // 2]} if kind == "partial" else {}),
    }


def _head(task: Task) -> dict[str, Any]:
    if task == "multilabel":
        return _falling(_HEAD_RATE, _HEAD_EPOCHS)
    return {"head_solver": "ridge" if task == "regression" else "lbfgs"}


def _falling(rate: float, epochs: int) -> dict[str, Any]:
    return {
        "optimizer": {"class_path": "AdamW", "init_args": {"lr": rate}},
        "lr_scheduler": {"class_path": "CosineAnnealingLR", "init_args": {"T_max": epochs}},
    }
