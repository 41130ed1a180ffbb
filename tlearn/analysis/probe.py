"""Probe every stage of a network at several image sizes, in one pass over the images for each size."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from tlearn.analysis.new_group import NewGroup, at_new_group, fold_of_each
from tlearn.analysis.stage_features import StageFeatures, own_size_px, stage_features
from tlearn.analysis.stage_probe import SCORES, TOGETHER, StageProbe, best_of, probe_stage, score
from tlearn.base.errors import TlearnError
from tlearn.base.intervals import percent
from tlearn.base.notebook.html_table import html_table
from tlearn.base.progress import Progress
from tlearn.data.files.listing import listed
from tlearn.training.module import TransferModule
from tlearn.training.strategies.alike_features import rounding_of
from tlearn.training.strategies.head_solver import solve_head
from tlearn.training.typed import data_of

_FEWEST = 2  # images of a class: one to learn from when the other is left out


@dataclass(frozen=True)
class Probe:
    """The worth of each stage of a network for these images.

    Attributes:
        score: The kind of score: ``accuracy``, ``mean average precision`` or ``R2``.
        train_images: N.
        val_images: V.
        stages: One probe for each size and stage, small to large, shallow to deep.
        best: The best of them.
        taps: The stages to name in ``model.tap`` for it.
        copies: Training images that are the same to the network as another one.
        shared: Validation images that are the same to it as a training image: scores look better than they are.
        pass_time_s: Image size in pixels to seconds of its pass over the network.
        time_s: Seconds of the whole probe.
        folds: How many folds the training images are left out by; ``None`` where each group, or image, is one.
        new_group: The score of the best stage at a group not seen; ``None`` without groups.
    """

    score: str
    train_images: int
    val_images: int
    stages: list[StageProbe]
    best: StageProbe
    taps: list[str]
    copies: int
    shared: int
    pass_time_s: dict[int, float]
    time_s: float
    folds: int | None = None
    new_group: NewGroup | None = None

    def _repr_html_(self) -> str:
        """Show the probe in a notebook."""
        rows = [
            (
                f"{each.image_size_px} px",
                f"{each.stage} *" if each == self.best else each.stage,
                *(percent(share) for share in (each.ridge, each.left_out, each.neighbours)),
            )
            for each in self.stages
        ]
        caption = f"Probe: {self.score}, {self.train_images} training and {self.val_images} validation images; *: best"
        return html_table(rows, ("image size", "stage", "ridge", "left out", "neighbours"), caption)


def probe(
    trainer: Trainer, module: TransferModule, sizes_px: Sequence[int], folds: int | None = None
) -> tuple[Probe, list[StageFeatures]]:
    """Probe all stages at these image sizes, and confirm the best by logistic regression.

    Args:
        trainer: Gives data, precision and device.
        module: Gives the network; left as it is.
        sizes_px: Sides of what the network is to see; empty for its own.
        folds: Leave out training images by so many folds; by default by group, or by image.

    Returns:
        The probe, and the features that it was made from.

    Raises:
        TlearnError: A class has fewer than two training images, or the features are of no use.
    """
    start_s = time.perf_counter()
    train = data_of(trainer).dataset("train")
    _check_classes(module, train.targets[train.indices])
    numbers = fold_of_each(train, module.task, folds)
    seen = _seen(trainer, module, sorted(sizes_px or [own_size_px(trainer, module)]))
    probes = probe_stages(module, seen, rounding_of(str(trainer.precision)), numbers)
    best = best_of(probes)
    copies, shared = count_copies(seen[-1])
    of_best = next(features for features in seen if features.image_size_px == best.image_size_px)
    if module.task == "classification":
        solved = _with_logistic(best, of_best, module)
        probes[probes.index(best)] = best = solved
    own, names = of_best.train[best.stage], data_of(trainer).group_names
    new_group = at_new_group(module.task, train, own, module.num_classes, names)
    return (
        Probe(
            score=SCORES[module.task],
            train_images=len(train),
            val_images=len(data_of(trainer).dataset("val")),
            stages=probes,
            best=best,
            taps=taps_of(module, best),
            copies=copies,
            shared=shared,
            pass_time_s={features.image_size_px: features.time_s for features in seen},
            time_s=time.perf_counter() - start_s,
            folds=folds,
            new_group=new_group,
        ),
        seen,
    )


def _seen(trainer: Trainer, module: TransferModule, sizes_px: Sequence[int]) -> list[StageFeatures]:
    found = list[StageFeatures]()
    with Progress(count=len(sizes_px), costs=[size**2 for size in sizes_px]) as passes:
        for size in sizes_px:
            passes.next(f"{size} px")
            found.append(stage_features(trainer, module, size))
    return found


def probe_stages(
    module: TransferModule, seen: Iterable[StageFeatures], rounding: float, folds: Tensor | None = None
) -> list[StageProbe]:
    """Probe every stage at every image size, small to large, shallow to deep.

    Args:
        module: Gives task and classes.
        seen: The features at each size.
        rounding: Rounding error of the features, see `rounding_of`.
        folds: int64 (N,), the fold of each training image; see `probe_stage`.
    """
    each = [(features, stage, part) for features in seen for stage, part in features.train.items()]
    found = list[StageProbe]()
    with Progress(count=len(each)) as stages:
        for features, stage, part in each:
            size, val = features.image_size_px, features.val[stage]
            stages.next(f"{size} px, {stage}")
            found.append(probe_stage(stage, size, module.task, part, val, module.num_classes, rounding, folds))
    return found


def taps_of(module: TransferModule, each: StageProbe) -> list[str]:
    """Return the stages to name in ``model.tap`` for a probe."""
    return list(module.backbone.tappable) if each.stage == TOGETHER else [each.stage]


def count_copies(seen: StageFeatures) -> tuple[int, int]:
    """Count training images like an earlier one, and validation images like a training image, to the last bit."""
    first = next(iter(seen.train))
    train, val = ([row.tobytes() for row in part[first].features.numpy()] for part in (seen.train, seen.val))
    known = set(train)
    return len(train) - len(known), sum(row in known for row in val)


def _with_logistic(best: StageProbe, features: StageFeatures, module: TransferModule) -> StageProbe:
    train, val = features.train[best.stage], features.val[best.stage]
    head = solve_head(module.task, train, val, module.num_classes)
    outputs = val.features @ head.weight.T + head.bias
    return replace(best, logistic=score(module.task, outputs, val.targets))


def _check_classes(module: TransferModule, targets: Tensor) -> None:
    if module.task != "classification":
        return
    counts = torch.bincount(targets, minlength=module.num_classes).tolist()
    few = [f"{name} {count}" for name, count in zip(module.class_names, counts, strict=True) if count < _FEWEST]
    if few:
        raise TlearnError(
            f"classes with fewer than {_FEWEST} images left to train on, of which nothing can be told: {listed(few)}; "
            "add images, or leave such classes out: data.init_args.min_per_class"
        )


def log_curves(loggers: Iterable[Logger], found: Probe) -> None:
    """Log the scores of each stage over the image sizes in pixels, which take the place of steps."""
    for each in found.stages:
        values = {f"probe/{each.stage}": each.ridge, f"probe_left_out/{each.stage}": each.left_out}
        values[f"probe_neighbours/{each.stage}"] = each.neighbours
        for logger in loggers:
            logger.log_metrics(values, step=each.image_size_px)
