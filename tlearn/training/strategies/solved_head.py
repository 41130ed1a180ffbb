"""Solve the linear head before the first step.

For ``model.head_init: probe`` this is the first half of LP-FT (Kumar et al., 2022, arXiv 2202.10054): fine-tuning from
a random head first damages the pretrained features. For ``model.head_solver`` it is the whole training.
"""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from tlearn.base.intervals import percent
from tlearn.base.program import program
from tlearn.training.evaluation import Outputs
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.alike_features import are_alike, rounding_of
from tlearn.training.strategies.feature_cache import features_of
from tlearn.training.strategies.head_solver import SolvedHead, Solver, Turned, solve_head, turn_weighted
from tlearn.training.strategies.out_of_fold import OutOfFold, out_of_fold
from tlearn.training.typed import FitSplit, OptionCallback, images_of

log = logging.getLogger(__name__)


class HeldOut(NamedTuple):
    """Answers out of fold, and the fold of each image, int64 (N,)."""

    outputs: Outputs
    folds: Tensor


class HeadProbeCallback(OptionCallback):
    """Solve the head before the first step. A resumed run has it already."""

    serves = frozenset({"head_init", "head_solver"})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the answers out of fold of a fit before."""
        put_out_of_fold(model_of(trainer), None)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve the head, put it into the network, and log what it reaches."""
        module = model_of(trainer)
        if trainer.global_step > 0:
            return
        train, val = (_features_and_targets(trainer, module, split) for split in ("train", "val"))
        if not trainer.is_global_zero:  # all have the same features, but sums may differ in their last bits
            received: Any = trainer.strategy.broadcast(None)
            head, found = received
            put_head(module, head)
            put_out_of_fold(module, found)
            return
        start_s = time.perf_counter()
        train = _without_rounding(*train, str(trainer.precision))
        weights, smoothing = module.objective.class_weights, module.objective.options.label_smoothing
        solver = _solver_of(module)
        turned = turn_weighted(*train, weights)
        solved = solve_head(module.task, train, val, module.num_classes, solver, weights, smoothing, turned)
        reached = f"val loss {solved.val_loss:.4f}"
        if module.task == "classification":
            outputs = val[0] @ solved.weight.T + solved.bias
            reached += f" acc {percent(float((outputs.argmax(dim=1) == val[1]).float().mean()))}"
        log.info(
            "head solved on frozen features by %s, penalty %g: %s, %.1f s",
            *(solver, solved.strength, reached, time.perf_counter() - start_s),
        )
        found = None if module.head_start.head_solver == "sgd" else _held_out(trainer, module, train, turned, solved)
        head, found = trainer.strategy.broadcast((solved, found))
        put_head(module, head)
        put_out_of_fold(module, found)


def put_head(module: TransferModule, solved: SolvedHead) -> None:
    """Copy a solved head into a network whose head has one linear layer."""
    layer = next(part for part in module.head.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(solved.weight)
        layer.bias.copy_(solved.bias)


def put_out_of_fold(module: TransferModule, found: HeldOut | None) -> None:
    """Let everything that reads them find the answers out of fold."""
    module.out_of_fold = None if found is None else found.outputs
    module.out_of_fold_numbers = None if found is None else found.folds


def _solver_of(module: TransferModule) -> Solver:
    return "ridge" if module.head_start.head_solver == "ridge" or module.task == "regression" else "lbfgs"


def _held_out(
    trainer: Trainer, module: TransferModule, train: tuple[Tensor, Tensor], turned: Turned, solved: SolvedHead
) -> HeldOut | None:
    """Answer out of fold for each training image, as it is; of several views that is the first."""
    start_s = time.perf_counter()
    images = images_of(trainer, "a solved head").dataset("train")
    if len(train[0]) > len(images):
        train = train[0][: len(images)], train[1][: len(images)]
        turned = turn_weighted(*train, module.objective.class_weights)
    groups = None if images.groups is None else images.groups[images.indices]
    smoothing = module.objective.options.label_smoothing
    found = out_of_fold(module.task, turned, train[1], groups, _solver_of(module), solved, smoothing)
    if found is None or not bool((there := found.answered).any()):
        return None
    rows, logits = images.indices[there], found.logits[there]
    logits = module.unit.restored(logits) if module.task == "regression" else logits
    outputs = Outputs("train", 1, logits, images.targets[rows], rows)
    log.info(
        "out of fold: %s%s, %.1f s",
        *(_reached(module, outputs), _told(found, groups), time.perf_counter() - start_s),
    )
    return HeldOut(outputs, found.folds[there])


def _reached(module: TransferModule, outputs: Outputs) -> str:
    if module.task == "classification":
        return f"acc {percent(float((outputs.logits.argmax(dim=1) == outputs.targets).float().mean()))}"
    return f"mae {float((outputs.logits - outputs.targets.view_as(outputs.logits)).abs().mean()):.4g}"


def _told(found: OutOfFold, groups: Tensor | None) -> str:
    folds, images = len(found.folds.unique()), len(found.folds)
    missing = images - int(found.answered.sum())
    told = f", {images} training images in {folds} folds" + ("" if groups is None else " of whole groups")
    return told + (f"; {missing} of classes that live in one group have no answer" if missing else "")


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
