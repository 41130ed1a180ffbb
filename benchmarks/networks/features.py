"""Compute the features of every stage once for each set and network, so that any rule of choice costs seconds.

    python -m benchmarks.networks.features --root DATA --weights NETWORKS --out FEATURES

DATA and NETWORKS are those of `benchmarks.choice`. A file for each set and network; what is there is not computed
again. N images, D features of all stages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.advise.images import pools
from benchmarks.choice.scenarios import IMAGE_SIZE_PX, NETWORKS, SETS
from benchmarks.networks.squeezenet import SqueezeNet
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions

SQUEEZENET = "squeezenet"
_NAMED = ("lite0", "lite2", "mobilenet", "insects")
TRIED = {name: str(NETWORKS[name][1]) for name in _NAMED} | {SQUEEZENET: "squeezenet1_1.in1k.safetensors"}
OF_A_CLASS, MOST_TRAIN = 125, 1250  # 100 to learn from, 25 to validate on; more of fewer classes, to test on too
MOST_TEST = 1000
_BATCH = 32


class Features(NamedTuple):
    """What one network gives for one set.

    Attributes:
        train: float32 (N, D), of the images that labels are drawn from.
        train_labels: int64 (N,).
        test: float32 (N, D), of all test images, at most 1,000.
        test_labels: int64 (N,).
        stages: Names of the stages, in the order of their columns.
        widths: Columns of each stage.
        ms_each: Milliseconds of processor time for one image, in the median over batches.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    stages: list[str]
    widths: list[int]
    ms_each: float


def pictures_of(name: str, root: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the pictures of a set that are used, uint8 (N, 3, H, W), and their labels, for ``train`` and ``test``."""
    _, pool, test = pools(name, root)
    random, classes = np.random.default_rng(0), np.unique(pool[1])
    most = max(OF_A_CLASS, MOST_TRAIN // len(classes))
    of_class = [random.permutation(np.flatnonzero(pool[1] == each))[:most] for each in classes]
    shown = random.permutation(len(test[1]))[:MOST_TEST]
    rows = {"train": (pool, np.concatenate(of_class)), "test": (test, shown)}
    return {
        split: (torch.from_numpy(images[own]), torch.as_tensor(labels[own]).long())
        for split, ((images, labels), own) in rows.items()
    }


def network(name: str, weights: Path) -> tuple[Callable[[Tensor], Tensor], list[str], list[int]]:
    """Return what turns uint8 images (N, 3, H, W) into the features of all stages, with their names and widths."""
    if name == SQUEEZENET:
        own = SqueezeNet(weights / TRIED[name], IMAGE_SIZE_PX).eval()
        return own.features, own.taps, own.widths
    backbone, file = NETWORKS[name][0], TRIED[name]
    stages = Network(NetworkOptions(1, backbone=backbone, weights=None)).backbone.tappable
    options: dict[str, Any] = {"backbone": backbone, "weights": str(weights / file), "image_size": IMAGE_SIZE_PX}
    net = Network(NetworkOptions(1, tap=list(stages), **options)).eval()
    return net.features, list(net.backbone.taps), list(net.backbone.widths)


@torch.inference_mode()
def compute(name: str, weights: Path, pictures: dict[str, tuple[Tensor, Tensor]]) -> Features:
    """Run a network over the pictures of a set."""
    features, stages, widths = network(name, weights)
    rows, each_s = dict[str, Tensor](), list[float]()
    for split, (images, _) in pictures.items():
        found = list[Tensor]()
        for part in images.split(_BATCH):
            start_s = time.process_time()
            found.append(features(part).float())
            each_s.append((time.process_time() - start_s) / len(part))
        rows[split] = torch.cat(found)
    (_, train_labels), (_, test_labels) = pictures["train"], pictures["test"]
    ms_each = round(1000 * float(np.median(each_s)), 2)
    return Features(rows["train"], train_labels, rows["test"], test_labels, stages, widths, ms_each)


def read(out: Path, dataset: str, name: str) -> Features:
    """Read what was computed."""
    return Features(**torch.load(out / f"{dataset}-{name}.pt", weights_only=True))


def main() -> None:
    """Compute what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--root", "--weights", "--out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    parser.add_argument("--networks", nargs="*", default=list(TRIED))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for dataset in given.only:
        missing = [name for name in given.networks if not (given.out / f"{dataset}-{name}.pt").exists()]
        pictures = pictures_of(dataset, given.root) if missing else {}
        for name in missing:
            found = compute(name, given.weights, pictures)
            torch.save(found._asdict(), given.out / f"{dataset}-{name}.pt")
            print(dataset, name, tuple(found.train.shape), f"{found.ms_each:.1f} ms an image", flush=True)


if __name__ == "__main__":
    main()
