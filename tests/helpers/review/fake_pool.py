"""A small pool of labelled pictures: files in easy colours, features in clusters, some labels wrong."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.helpers.fake_pictures import write_folder
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.data.files.reading import Framing

NAMES = ["cat", "dog", "eel"]
WIDTH = 16


def fake_pool(
    root: Path, count: int = 20, wrong: tuple[int, ...] = (3, 25, 47), spread: float = 0.15, groups: int = 0
) -> LabelledPool:
    """Write pictures of three classes, and label some of them as the class that follows.

    Args:
        root: Where the folders ``cat``, ``dog`` and ``eel`` are written.
        count: Pictures of each class.
        wrong: Rows whose label is wrong; those of a class stand together, `count` of each.
        spread: Standard deviation of the features round the middles of the classes, which are a unit apart.
        groups: How many groups there are; none with 0.
    """
    write_folder(root, tuple(NAMES), count)
    truth = torch.arange(len(NAMES)).repeat_interleave(count)
    noise = torch.randn(len(truth), WIDTH, generator=torch.Generator().manual_seed(0))
    features = torch.eye(len(NAMES), WIDTH)[truth] + spread * noise
    labels = truth.clone()
    labels[list(wrong)] = (truth[list(wrong)] + 1) % len(NAMES)
    return LabelledPool(
        root=root,
        names=[f"{name}/{name}{number:03d}.png" for name in NAMES for number in range(count)],
        labels=labels,
        class_names=list(NAMES),
        groups=torch.arange(len(truth)) % groups if groups else None,
        group_names=[f"site {number}" for number in range(groups)],
        features=features,
        framing=Framing(size_px=32),
        is_validation=torch.arange(len(truth)) % 10 == 9,
    )
