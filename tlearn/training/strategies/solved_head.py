"""Solve the linear head before the first step.

For ``model.head_init: probe`` this is the first half of LP-FT (Kumar et al., 2022, arXiv 2202.10054): fine-tuning from
a random head first damages the pretrained features. For ``model.head_solver`` it is the whole training.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from tlearn.base.intervals import percent
from tlearn.base.program import program
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.alike_features import are_alike, rounding_of
from tlearn.training.strategies.feature_cache import features_of
from tlearn.training.strategies.head_solver import SolvedHead, solve_head
from tlearn.training.typed import FitSplit, OptionCallback, images_of

log = logging.getLogger(__name__)


class HeadProbeCallback(OptionCallback):
    """Solve the head before the first step. A resumed run has it already."""

    serves = frozenset({"head_init", "head_solver"})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve the head, put it into the network, and log what it reaches."""
        module = model_of(trainer)
        if trainer.global_step > 0:
            return
        train, val = (_features_and_targets(trainer, module, split) for split in ("train", "val"))
        if not trainer.is_global_zero:  # all have the same features, but sums may differ in their last bits
            received: Any = trainer.strategy.broadcast(None)
            put_head(module, received)
            return
        start_s = time.perf_counter()
        train = _without_rounding(*train, str(trainer.precision))
        solver: Literal["lbfgs", "ridge"] = (
            "ridge" if module.head_start.head_solver == "ridge" or module.task == "regression" else "lbfgs"
        )
        solved = solve_head(
            module.task,
            train,
            val,
            module.num_classes,
            solver,
            module.objective.class_weights,
            module.objective.options.label_smoothing,
        )
        put_head(module, trainer.strategy.broadcast(solved))
        reached = f"val loss {solved.val_loss:.4f}"
        if module.task == "classification":
            outputs = val[0] @ solved.weight.T + solved.bias
            reached += f" acc {percent(float((outputs.argmax(dim=1) == val[1]).float().mean()))}"
        log.info(
            "head solved on frozen features by %s, penalty %g: %s, %.1f s",
            *(solver, solved.strength, reached, time.perf_counter() - start_s),
        )


def put_head(module: TransferModule, solved: SolvedHead) -> None:
    """Copy a solved head into a network whose head has one linear layer."""
    layer = next(part for part in module.head.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(solved.weight)
        layer.bias.copy_(solved.bias)


def _without_rounding(features: Tensor, targets: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """If all features differ by rounding alone, make them equal and warn; a head would learn the rounding."""
    if not are_alike(features, rounding_of(precision)):
        return features, targets
    log.warning(
        "the features of all %d training pictures are alike: the head says the same of every picture, which is chance; "
        f"are these all the same picture? {program()} doctor looks at them",
        len(features),
    )
    return features[:1].expand_as(features), targets


def _features_and_targets(trainer: Trainer, module: TransferModule, split: FitSplit) -> tuple[Tensor, Tensor]:
    images = images_of(trainer, "a solved head").dataset(split)
    views = features_of(trainer, module, split)
    return torch.cat(views).cpu(), torch.cat([module.learned(images.targets[images.indices])] * len(views))
