"""The cases: a set, so many labels a class, a draw of them; and what a solved head on each network really reaches.

    python -m benchmarks.networks.cases --features FEATURES    # heads.csv

N images, D features, K classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.choice.scenarios import HELD_BACK, SETS
from benchmarks.networks.features import TRIED, Features, read
from benchmarks.rows import append, read_rows
from tlearn.analysis.backbones.halving import nested_order
from tlearn.analysis.backbones.judge import Judged, judge
from tlearn.analysis.stage_probe import TOGETHER, stages_of
from tlearn.training.strategies.head_solver import solve_head

HEADS = Path(__file__).parent / "heads.csv"
DRAWS = {25: 3, 100: 1}  # labels of a class: draws, of images that share none where there are enough


@dataclass(frozen=True)
class Reached:
    """What the head on one network reaches in one case.

    Attributes:
        dataset: One of `SETS`.
        labels: Of a class, or all that there are where they are fewer.
        draw: Which labels.
        network: One of `TRIED`.
        stage: ``last``, or ``all`` stages side by side.
        train_images: How many it was solved on; a quarter as many more chose its strength.
        test_images: How many.
        test_acc: Share of 1.
    """

    dataset: str
    labels: int
    draw: int
    network: str
    stage: str
    train_images: int
    test_images: int
    test_acc: float


class Case:
    """The features of one set, and which of its images are drawn.

    Args:
        dataset: One of `SETS`.
        labels: Training images of a class.
        draw: Number of the draw.
        features: What each network gives for the set.

    Attributes:
        networks: Names.
        order: int64 (N,), the training images, each beginning with all classes in their shares.
        labels_of: int64 (N,), their classes, in that order.
    """

    def __init__(self, dataset: str, labels: int, draw: int, features: dict[str, Features]) -> None:
        self.dataset, self.labels, self.draw, self._features = dataset, labels, draw, features
        self.networks, all_labels = list(features), next(iter(features.values())).train_labels
        train, self._val = drawn(all_labels, labels, draw)
        spare = torch.ones(len(all_labels), dtype=torch.bool)
        spare[torch.cat([train, self._val])] = False
        self._spare = spare.nonzero().flatten()
        self.order = train[nested_order(all_labels[train])]
        self.labels_of = all_labels[self.order]
        self._judged = dict[tuple[str, int], Judged]()

    @property
    def is_held_back(self) -> bool:
        """Tell whether it scores the rule, and did not settle it."""
        return self.dataset in HELD_BACK

    @cached_property
    def num_classes(self) -> int:
        """Return K."""
        return int(self.labels_of.max()) + 1

    def ms_each(self, network: str) -> float:
        """Return what a network takes for an image."""
        return self._features[network].ms_each

    def rows(self, network: str, images: int | None = None) -> dict[str, Tensor]:
        """Return the features of the first images by stage, (images, D)."""
        own = self._features[network]
        return stages_of(own.train[self.order[:images]], own.stages, own.widths)

    def last(self, network: str) -> str:
        """Name the last stage of a network."""
        return self._features[network].stages[-1]

    def judged(self, network: str, images: int) -> Judged:
        """Judge a network by the first images, as `tlearn.analysis.backbones` does."""
        if (network, images) not in self._judged:
            given = self.rows(network, images), self.last(network), self.labels_of[:images]
            self._judged[network, images] = judge("classification", *given, self.num_classes, None)
        return self._judged[network, images]

    def reached(self, network: str) -> Iterator[Reached]:
        """Solve the heads of a network, and test them on the set's own test images and those that no draw took.

        Few test images, as 153 ants and bees, cannot tell networks apart: two points are chance.
        """
        own = self._features[network]
        pool, labels = stages_of(torch.cat([own.train, own.test]), own.stages, own.widths), own.train_labels
        tested = torch.cat([self._spare, torch.arange(len(own.train), len(own.train) + len(own.test))])
        wanted = torch.cat([labels, own.test_labels])[tested]
        for name, stage in (("last", own.stages[-1]), ("all", TOGETHER)):
            train, val = ((pool[stage][rows], labels[rows]) for rows in (self.order.sort().values, self._val))
            head = solve_head("classification", train, val, self.num_classes)
            answers = (pool[stage][tested] @ head.weight.T + head.bias).argmax(dim=1)
            share = round(float((answers == wanted).float().mean()), 4)
            about = (self.dataset, self.labels, self.draw, network, name)
            yield Reached(*about, len(self.order), len(wanted), share)


def drawn(all_labels: Tensor, labels: int, draw: int) -> tuple[Tensor, Tensor]:
    """Return which images train and which validate, int64: a quarter as many more of each class validate."""
    random = torch.Generator().manual_seed(0)
    train, val = list[Tensor](), list[Tensor]()
    for number in all_labels.unique():
        own = (all_labels == number).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=random)].roll(-draw * (labels + labels // 4))
        of_val = min(labels // 4, len(own) // 5)
        val.append(own[:of_val])
        train.append(own[of_val : of_val + labels])
    return torch.cat(train), torch.cat(val)


def cases(folder: Path, sets: tuple[str, ...] = SETS) -> Iterator[Case]:
    """Yield all cases of these sets, of which the features are there."""
    for dataset in sets:
        features = {name: read(folder, dataset, name) for name in TRIED}
        for labels, draws in DRAWS.items():
            for draw in range(draws):
                yield Case(dataset, labels, draw, features)


def read_heads(path: Path = HEADS) -> list[Reached]:
    """Read what was reached."""
    return read_rows(Reached, path) if path.exists() else []


def main() -> None:
    """Solve the heads that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    given = parser.parse_args()
    done = {(each.dataset, each.labels, each.draw, each.network) for each in read_heads()}
    for case in cases(given.features, tuple(given.only)):
        for network in case.networks:
            if (case.dataset, case.labels, case.draw, network) not in done:
                for found in case.reached(network):
                    append(found, HEADS)
                    print(asdict(found), flush=True)


if __name__ == "__main__":
    main()
