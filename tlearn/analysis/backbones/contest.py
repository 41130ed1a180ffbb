"""Probe several networks on nested subsets of the training images. N images, D features, K outputs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.backbones.choice import Contest, TriedNetwork, cheapest, going_on, near_the_best
from tlearn.analysis.backbones.halving import nested_order, rounds_of
from tlearn.analysis.new_group import fold_of_each
from tlearn.analysis.similarity import mean_logme
from tlearn.analysis.stage_features import network_like, own_size_px
from tlearn.analysis.stage_probe import (
    SCORES,
    TOGETHER,
    Labelled,
    check_features,
    left_out_answers,
    score,
    stages_of,
    wanted_outputs,
)
from tlearn.base.intervals import share_interval
from tlearn.base.progress import Progress
from tlearn.data.images.image_set import BatchKey
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.strategies.known_labels import known_groups
from tlearn.training.typed import data_of

_AT_ONCE = 32  # images in a pass
_FEWEST_OF_A_CLASS = 4  # in the mean, in the first round


class Entry(NamedTuple):
    """A network that takes part.

    Attributes:
        backbone: For ``model.backbone``.
        weights: For ``model.weights``.
        licence: Of the weights, where known.
        module: The network with a head for the data.
    """

    backbone: str
    weights: str
    licence: str | None
    module: TransferModule


class _Runner:
    """One network, and what it has seen.

    Args:
        trainer: Gives data, precision and device.
        entry: The network.
        size_px: Side of what it sees.
    """

    def __init__(self, trainer: Trainer, entry: Entry, size_px: int) -> None:
        module = entry.module
        self._network = network_like(module, size_px, tap=list(module.backbone.tappable), freeze_backbone=True)
        self._network.trainer, self._trainer, self._size_px = trainer, trainer, size_px
        self._network.to(module.device).setup("fit")
        self.entry, self.last = entry, module.backbone.stages[-1]
        self.rows = torch.empty(0, sum(self._network.backbone.widths))
        self._each_s = list[float]()
        self.logme: float | None = None
        self.score, self.losses, self.errors = 0.0, torch.empty(0), torch.empty(0)

    def see(self, positions: Tensor) -> None:
        """Compute the features of more training images."""
        images = data_of(self._trainer).dataset("train").on(torch.device("cpu"), None)
        found = [self.rows]
        with evaluating(self._network), self._trainer.precision_plugin.forward_context(), torch.no_grad():
            for part in positions.split(_AT_ONCE):
                pixels = images[BatchKey(0, part)].images
                start_s = time.perf_counter()
                found.append(self._network.features(pixels.to(self._network.device)).float().cpu())
                self._each_s.append((time.perf_counter() - start_s) / len(part))
        self.rows = torch.cat(found)

    def judge(self, targets: Tensor, folds: Tensor | None) -> None:
        """Answer for each image that was seen by a head that was made without it, see `left_out_answers`.

        The squared error of the answers decides who goes on: over few images it has less noise than right and wrong.
        """
        backbone, task, count = self._network.backbone, self._network.task, self._network.num_classes
        parts = stages_of(self.rows, backbone.taps, backbone.widths)
        wanted, found = wanted_outputs(task, targets, count), list[tuple[float, Tensor, Tensor]]()
        for stage in dict.fromkeys((self.last, TOGETHER)):
            if stage not in parts:
                continue
            check_features(stage, self._size_px, parts[stage])
            groups = known_groups(parts[stage], wanted)
            answers = left_out_answers(task, groups, wanted, Labelled(parts[stage], targets), count, folds)
            losses = (answers - wanted).square().double().nanmean(dim=1)
            found.append((float(losses.mean()), losses, answers))
            if stage == self.last and self.logme is None:
                self.logme = mean_logme(groups)
        _, self.losses, answers = min(found, key=lambda each: each[0])
        self.score = score(task, answers, targets)
        self.errors = (answers.argmax(dim=1) != targets).double() if task == "classification" else self.losses

    def result(self, name: str) -> TriedNetwork:
        """Return what it showed."""
        count, backbone = len(self.rows), self.entry.module.backbone
        is_share = self._network.task == "classification"
        low, high = share_interval(self.score * count, count) if is_share else (None, None)
        tensors = [*backbone.parameters(), *backbone.buffers()]
        return TriedNetwork(
            name=name,
            backbone=self.entry.backbone,
            weights=self.entry.weights,
            score=self.score,
            low=low,
            high=high,
            images=count,
            seconds_per_1000=1000 * median(self._each_s),  # other work slows some of the batches
            megabytes=sum(each.numel() * each.element_size() for each in tensors) / 1e6,
            logme=self.logme or 0.0,
            licence=self.entry.licence,
        )


def contest(trainer: Trainer, entries: Mapping[str, Entry], folds: int | None = None) -> Contest:
    """Probe networks on ever more training images; after each round the worse half is left behind.

    Args:
        trainer: See `rigged`.
        entries: Name to network, two at least; they are left as they are.
        folds: See `tlearn.analysis.probe.probe`.

    Raises:
        TlearnError: The features of a network are of no use.
    """
    first = next(iter(entries.values())).module
    size_px, train = own_size_px(trainer, first), data_of(trainer).dataset("train")
    targets = first.learned(train.targets[train.indices])
    is_classes = first.task == "classification"
    order = nested_order(targets if is_classes else torch.zeros(len(train), dtype=torch.int64))
    numbers = fold_of_each(train, first.task, folds)
    fewest = min(len(train), _FEWEST_OF_A_CLASS * (first.num_classes if is_classes else 2))
    planned = rounds_of(len(entries), len(train), fewest)
    runners = {name: _Runner(trainer, entry, size_px) for name, entry in entries.items()}
    names = list(runners)
    with Progress(count=sum(each.networks for each in planned)) as parts:
        for number, each in enumerate(planned):
            if number:
                names = going_on({name: runners[name].losses for name in names}, each.networks)
            rows = order[: each.images]
            for name in names:
                parts.next(name)
                runners[name].see(rows[len(runners[name].rows) :])
                runners[name].judge(targets[rows], None if numbers is None else numbers[rows])
    tried = [runner.result(name) for name, runner in runners.items()]
    errors = {name: runners[name].errors for name in names}
    (best,) = going_on(errors, 1)
    return Contest(
        tried=sorted(tried, key=lambda each: (-each.images, -each.score)),
        chosen=cheapest(tried, near_the_best(errors), best),
        best=next(each for each in tried if each.name == best),
        score=SCORES[first.task],
        image_size_px=size_px,
        passes=sum(len(runner.rows) for runner in runners.values()),
        all_passes=len(entries) * len(train),
    )
