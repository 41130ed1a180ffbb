"""The strategies that `advise` chooses from, as options of the model, from the cheapest to the dearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Measured on CIFAR-10 subsets, see benchmarks/advise: a solved head wants gentle steps and BatchNorm statistics that
# stay what they were when it was solved; a new head wants steps that carry it somewhere.
_GENTLE = {"class_path": "AdamW", "init_args": {"lr": 3.0e-4}}
_BRISK = {"class_path": "AdamW", "init_args": {"lr": 1.0e-3}}


@dataclass(frozen=True)
class Candidate:
    """One strategy.

    Attributes:
        name: ``frozen``, ``tap``, ``partial``, ``lp_ft``, ``full`` or ``scratch``.
        what: In words.
        options: Of the model, beside network, weights and image size.
        trains: Whether steps are taken; else the head is solved.
    """

    name: str
    what: str
    options: dict[str, Any] = field(hash=False)
    trains: bool = True


def candidates(stages: Sequence[str], taps: Sequence[str], epochs: int) -> list[Candidate]:
    """List the strategies for a network.

    Args:
        stages: The network's, shallow to deep.
        taps: The stages that a probe liked best; those of the last stage alone are ``frozen`` already.
        epochs: Of those that take steps.
    """
    solved = {"freeze_backbone": True, "head_solver": "lbfgs"}
    falling = {"lr_scheduler": {"class_path": "CosineAnnealingLR", "init_args": {"T_max": epochs}}}
    gentle = {"head_init": "probe", "batch_norm": "fixed", "optimizer": _GENTLE} | falling
    brisk = {"optimizer": _BRISK} | falling
    middle = stages[len(stages) // 2]
    tap = taps[0] if len(taps) == 1 else list(taps)
    found = [Candidate("frozen", "the network stays fixed, its head is solved", solved, trains=False)]
    if list(taps) != [stages[-1]]:
        where = tap if isinstance(tap, str) else "all stages side by side"
        found.append(
            Candidate("tap", f"the network stays fixed, the head sits on {where}", solved | {"tap": tap}, False)
        )
    return [
        *found,
        Candidate(
            "partial", f"solve the head, then train what lies behind {middle}", gentle | {"freeze_until": middle}
        ),
        Candidate("lp_ft", "solve the head, then train everything (LP-FT)", gentle),
        Candidate("full", "train everything at once, with a new head", brisk),
        Candidate("scratch", "train everything from random weights", brisk | {"weights": None}),
    ]
