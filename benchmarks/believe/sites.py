"""How well is the score at a new site known beforehand? Made sites on real pictures.

    python -m benchmarks.believe.sites --root DATA --weights FILE --out benchmarks/believe/sites.csv

A site is a random change of pixels that all its pictures share: blur, colour cast, crop, exposure, contrast and a
shade of light across the picture. All sites are drawn from one distribution, so that a new one is exchangeable with
those known; their strengths are random too. A draw takes some sites to train on, and new ones, each of which shows
all test pictures of the draw. The score at a new site is predicted by leaving out one site at a time in closed form,
and by leaving out random pictures, both of ridge regression on features of EfficientNet-Lite0 at 64 px. The truth is
the accuracy of the same regression, made from all known sites, at one new site, and over all of them.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from benchmarks.believe.features import NETWORK, Pictures, features_of, pictures_of
from tlearn.base.intervals import grouped_interval
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions
from tlearn.training.strategies.head_solver import ridge_path, turn
from tlearn.training.strategies.left_out import folds_from, folds_of, left_out_at, left_out_outputs

NEW, DRAWS, SIZE_PX = 4, 40, 64
SETTINGS = (("cifar10", 8, 400, 200), ("hymenoptera", 8, 200, 190))  # known sites; pictures to train on, and to test


@dataclass(frozen=True)
class Draw:
    """One draw; scores are shares of right answers.

    Attributes:
        data: Name of the data set.
        seed: Number of the draw.
        sites: Known sites.
        pictures: Training pictures.
        random_split: Predicted by leaving out random pictures.
        new_site: Predicted by leaving out one site at a time.
        low: Of its 95 % interval over sites.
        high: Likewise.
        one: The truth at one new site.
        mean: The truth over `NEW` new sites.
    """

    data: str
    seed: int
    sites: int
    pictures: int
    random_split: float
    new_site: float
    low: float
    high: float
    one: float
    mean: float


class Site:
    """What all pictures of a site share, drawn from one distribution."""

    def __init__(self, rng: np.random.Generator) -> None:
        strength = rng.uniform(0.3, 1.5)
        self.gain = torch.from_numpy(np.exp(rng.normal(0, 0.2 * strength, (3, 1, 1)))).float()
        self.gamma = float(np.exp(rng.normal(0, 0.35 * strength)))
        self.contrast = float(np.exp(rng.normal(0, 0.25 * strength)))
        self.sigma_share = abs(rng.normal(0, 0.02 * strength))  # of the side
        self.zoom = float(rng.uniform(1 - 0.35 * min(strength, 1), 1))
        self.slope = rng.normal(0, 0.25 * strength, 2)

    def show(self, images: Tensor) -> Tensor:
        """Change pixels, uint8 (N, 3, H, W)."""
        side = images.shape[-1]
        kept = max(8, round(side * self.zoom))
        pixels = F.resize(F.center_crop(images, [kept, kept]), [SIZE_PX, SIZE_PX], antialias=True).float() / 255
        if (sigma := self.sigma_share * SIZE_PX) > 0.2:
            pixels = F.gaussian_blur(pixels, [2 * int(2 * sigma + 1) + 1] * 2, [sigma])
        ramp = torch.linspace(-1, 1, SIZE_PX)
        light = 1 + float(self.slope[0]) * ramp[:, None] + float(self.slope[1]) * ramp
        pixels = (pixels.clamp(0, 1) ** self.gamma - 0.5) * self.contrast + 0.5
        lit: Tensor = pixels * self.gain * light
        return (lit.clamp(0, 1) * 255).round().to(torch.uint8)


def draw(net: Network, setting: tuple[str, int, int, int], pictures: Pictures, seed: int) -> Draw:
    """Draw sites and pictures, predict, and look at the truth."""
    data, known, count, tested = setting
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(pictures.labels)))
    train, test = order[:count], order[count : count + tested]
    sites = [Site(rng) for _ in range(known + NEW)]
    where = torch.arange(len(train)) % known
    shown = torch.empty(len(train), 3, SIZE_PX, SIZE_PX, dtype=torch.uint8)
    for number in range(known):
        shown[where == number] = sites[number].show(pictures.images[train[where == number]])
    features = features_of(net, shown)
    labels, truth = pictures.labels[train], pictures.labels[test]
    wanted = nnf.one_hot(labels, len(pictures.class_names)).float()
    turned, folds = turn(features, torch.ones(len(train))), folds_from(where)
    outputs = left_out_outputs(turned, wanted, folds)
    hits = (outputs.argmax(dim=1) == labels).double().numpy()
    loose = left_out_outputs(turned, wanted, folds_of("classification", labels, len(pictures.class_names)))
    layer = next(e for e in ridge_path(turned, wanted) if left_out_at(turned, wanted, folds, e[0]).equal(outputs))
    right = [
        turned.turned(features_of(net, site.show(pictures.images[test]))) @ layer[1].float().T + layer[2]
        for site in sites[known:]
    ]
    scores = [float((each.argmax(dim=1) == truth).float().mean()) for each in right]
    low, high = grouped_interval(hits, where.numpy()) or (np.nan, np.nan)
    random_split = float((loose.argmax(dim=1) == labels).float().mean())
    return Draw(
        data, seed, known, len(train), random_split, float(hits.mean()), low, high, scores[0], float(np.mean(scores))
    )


def told(draws: list[Draw]) -> str:
    """Return the lines of a Markdown table: how often each prediction is within 3 points of the truth."""
    lines = ["| pictures | sites | predicted by | truth | bias, points | within 3 points | interval holds it |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for data, sites in sorted({(each.data, each.sites) for each in draws}):
        own = [each for each in draws if (each.data, each.sites) == (data, sites)]
        for how, word in (("new_site", "one site left out"), ("random_split", "random pictures left out")):
            for truth, named in (("one", "one new site"), ("mean", f"mean of {NEW} new sites")):
                gaps = np.array([getattr(each, how) - getattr(each, truth) for each in own])
                held = np.mean([each.low <= getattr(each, truth) <= each.high for each in own])
                shown = f"{100 * held:.0f} %" if how == "new_site" else "-"
                near = f"{100 * np.mean(np.abs(gaps) <= 0.03):.0f} % of {len(own)}"
                lines.append(
                    f"| {own[0].pictures} of {data} | {sites} | {word} | {named} "
                    f"| {100 * gaps.mean():+.1f} | {near} | {shown} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Run all draws, or only tell those of a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    net = Network(NetworkOptions(1, backbone=NETWORK, weights=str(given.weights), image_size=SIZE_PX)).eval()
    found = list[Draw]()
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, [each.name for each in fields(Draw)], lineterminator="\n")
        table.writeheader()
        for setting in SETTINGS:
            pictures = pictures_of(setting[0], given.root)
            for seed in range(DRAWS):
                found.append(draw(net, setting, pictures, seed))
                table.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in asdict(found[-1]).items()})
                file.flush()
    print(told(found))


if __name__ == "__main__":
    main()
