"""What is run in each scenario: the members of a race, and others that are judged beside them.

A race warms `WARM` up since the benchmark showed what that brings; under their plain names they were run without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tlearn.analysis.race.recipes import RANDOM, SCRATCH, options_of, times_of
from tlearn.base.types import Task

MEMBERS = ("last", "head", "lp_ft_1e-4", "lp_ft_3e-4", "lp_ft_1e-3", "partial_3e-4")
AS_NAMED: Mapping[str, str] = MappingProxyType({})  # members as they are
WARM = {"lp_ft_3e-4": "lp_ft_3e-4_warm", "lp_ft_1e-3": "lp_ft_1e-3_warm"}  # as a race trains them
_COLD = {"warmup_epochs": None}
BESIDE = (RANDOM, SCRATCH, *WARM.values(), "lp_ft_3e-4_flip")


@dataclass(frozen=True)
class Recipe:
    """How a member is trained.

    Attributes:
        model: Options of the model.
        epochs: How many.
        augment: Options of the random changes.
        knows_nothing: The network begins with random weights.
    """

    model: dict[str, Any]
    epochs: int
    augment: dict[str, Any] = field(default_factory=dict)
    knows_nothing: bool = False


def recipe_of(member: str, stages: Sequence[str], epochs: int, task: Task) -> Recipe:
    """Return how one of `MEMBERS` or `BESIDE` is trained.

    Args:
        member: Its name.
        stages: The stages of the network that can be tapped.
        epochs: Of a member that is trained from weights that know something.
        task: As in `options_of`.
    """
    if member == RANDOM:
        return Recipe(options_of(RANDOM, stages, epochs, task), epochs, knows_nothing=True)
    if member == SCRATCH:
        return Recipe(options_of(SCRATCH, stages, epochs, task), times_of(SCRATCH) * epochs, knows_nothing=True)
    if member in WARM.values():
        return Recipe(options_of(member.removesuffix("_warm"), stages, epochs, task), epochs)
    if member == "lp_ft_3e-4_flip":
        return Recipe(options_of("lp_ft_3e-4", stages, epochs, task) | _COLD, epochs, {"flip": True})
    return Recipe(options_of(member, stages, epochs, task) | _COLD, epochs)
