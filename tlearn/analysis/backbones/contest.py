"""Probe several networks on nested subsets of the training images. N images, D features, K outputs."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.backbones.choice import Contest, TriedNetwork, near_the_best, quicker
from tlearn.analysis.backbones.halving import FIRST_OF_A_CLASS, following_images, nested_order
from tlearn.analysis.backbones.judge import judge
from tlearn.analysis.new_group import fold_of_each
from tlearn.analysis.similarity import mean_logme
from tlearn.analysis.stage_features import AT_ONCE, features_of, own_size_px, tapped_network
from tlearn.analysis.stage_probe import SCORES, TOGETHER, check_features, score, stages_of, wanted_outputs
from tlearn.base.intervals import share_interval
from tlearn.base.progress import Progress
from tlearn.training.module import TransferModule
from tlearn.training.strategies.known_labels import known_groups
from tlearn.training.typed import data_of


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
        self._network = tapped_network(trainer, module, size_px)
        self._trainer, self._size_px = trainer, size_px
        self.entry, self.last = entry, module.backbone.stages[-1]
        self.rows = torch.empty(0, sum(self._network.backbone.widths))
        self._each_s = list[float]()
        self.logme: float | None = None
        self.score, self.losses, self.errors = 0.0, torch.empty(0), torch.empty(0)

    def see(self, positions: Tensor) -> None:
        """Compute the features of more training images."""
        more, times_s = features_of(self._trainer, self._network, positions)
        self._each_s += [time_s / len(part) for time_s, part in zip(times_s, positions.split(AT_ONCE), strict=True)]
        self.rows = torch.cat([self.rows, more])

    def judge(self, targets: Tensor, folds: Tensor | None) -> None:
        """Answer for each image that was seen by a head that was made without it, see `judge`."""
        backbone, task, count = self._network.backbone, self._network.task, self._network.num_classes
        parts = stages_of(self.rows, backbone.taps, backbone.widths)
        for stage in dict.fromkeys((self.last, TOGETHER)):
            if stage in parts:
                check_features(stage, self._size_px, parts[stage])
        self.losses, answers = judge(task, parts, self.last, targets, count, folds)
        self.score = score(task, answers, targets)
        self.errors = (answers.argmax(dim=1) != targets).double() if task == "classification" else self.losses
        if self.logme is None:
            self.logme = mean_logme(known_groups(parts[self.last], wanted_outputs(task, targets, count)))

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
    """Probe networks on ever more training images; after each round those beyond the noise of the best stay behind.

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
    runners = {name: _Runner(trainer, entry, size_px) for name, entry in entries.items()}
    names, passes, of_class = list(runners), 0, FIRST_OF_A_CLASS * (first.num_classes if is_classes else 2)
    images: int | None = min(len(train), of_class)
    with Progress() as parts:
        while images is not None:
            rows = order[:images]
            for name in names:
                parts.next(name)
                passes += images - len(runners[name].rows)
                runners[name].see(rows[len(runners[name].rows) :])
                runners[name].judge(targets[rows], None if numbers is None else numbers[rows])
            names = near_the_best({name: runners[name].losses for name in names})
            images = following_images(images, len(names), passes, len(entries), len(train))
    tried = [runner.result(name) for name, runner in runners.items()]
    chosen = next(each for each in tried if each.name == names[0])
    last = {each.name: runners[each.name].errors for each in tried if each.images == chosen.images}
    return Contest(
        tried=sorted(tried, key=lambda each: (-each.images, -each.score)),
        chosen=chosen,
        quicker=quicker(tried, near_the_best(last, names[0]), chosen),
        score=SCORES[first.task],
        image_size_px=size_px,
        passes=passes,
        all_passes=len(entries) * len(train),
    )
