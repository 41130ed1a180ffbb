"""The strategies that `advise` chooses from, as options of the model, from the cheapest to the dearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tlearn.base.types import Task

# Tried on three scenarios with 25 labels a class, see benchmarks/advise/README.md. A solved head wants gentle steps and
# BatchNorm statistics that stay what they were when it was solved; a new head wants steps that carry it somewhere.
_GENTLE = {"class_path": "AdamW", "init_args": {"lr": 1.0e-4}}
_BRISK = {"class_path": "AdamW", "init_args": {"lr": 1.0e-3}}


@dataclass(frozen=True)
class Candidate:
    """One strategy.

    Attributes:
        name: ``frozen``, ``tap``, ``partial``, ``lp_ft``, ``full`` or ``scratch``.
        what: In words.
        options: Options of the model, beside network, weights and image size.
        trains_backbone: Training steps go through the network.
    """

    name: str
    what: str
    options: dict[str, Any] = field(hash=False)
    trains_backbone: bool = True


def candidates(
    task: Task, stages: Sequence[str], taps: Sequence[str], start: Sequence[str], epochs: int
) -> list[Candidate]:
    """List the strategies for a network.

    Args:
        task: With several labels an image no head can be solved; it is trained instead.
        stages: The stages that can be tapped, shallow to deep.
        taps: Where the head of a fixed network sits best; the last stage alone is ``frozen`` already.
        start: Where the head sits that training begins with.
        epochs: Length of the strategies that take steps.
    """
    falling = {"lr_scheduler": {"class_path": "CosineAnnealingLR", "init_args": {"T_max": epochs}}}
    brisk: dict[str, Any] = {"optimizer": _BRISK, **falling}
    if task == "multilabel":
        fixed: dict[str, Any] = {"freeze_backbone": True, **brisk}
        gentle: dict[str, Any] = {"optimizer": _GENTLE, **falling}
    else:
        fixed = {"freeze_backbone": True, "head_solver": "ridge" if task == "regression" else "lbfgs"}
        gentle = {"head_init": "probe", "batch_norm": "fixed", "optimizer": _GENTLE, **falling}
    middle = stages[len(stages) // 2]
    found = [Candidate("frozen", "the network stays fixed, only a head is fitted", fixed, False)]
    if list(taps) != [stages[-1]]:
        where, tap = (taps[0], taps[0]) if len(taps) == 1 else ("all stages side by side", list(taps))
        options = {**fixed, "tap": tap}
        found.append(Candidate("tap", f"the network stays fixed, the head sits on {where}", options, False))
    if list(start) != [stages[-1]]:
        gentle["tap"] = list(start)
    side = "" if len(start) == 1 else " on all stages"
    how = "train" if task == "multilabel" else f"fit a head{side} first, then train"
    return [
        *found,
        Candidate("partial", f"{how} what lies behind {middle}", {**gentle, "freeze_until": middle}),
        *([] if task == "multilabel" else [Candidate("lp_ft", f"{how} everything (LP-FT)", gentle)]),
        Candidate("full", "train everything at once, with a new head", brisk),
        Candidate("scratch", "train everything from random weights", {**brisk, "weights": None}),
    ]
