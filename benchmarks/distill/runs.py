"""Is one network that learned from an ensemble as good as the ensemble?

    python -m benchmarks.distill.runs --root DATA --weights FOLDER --out RUNS [--only pcb_defects] [--seeds 0]

DATA and FOLDER are those of `benchmarks.choice.members`, whose draws and recipes these are: 25 labels a class to train
and 6 to validate, EfficientNet-Lite0 at 96 px, LP-FT at two rates, ten epochs in float32. The two are averaged
(``model.ensemble``), and LP-FT at the higher rate learns from their average (``model.distill_from``). Every network
answers as its last epoch does. A line of `RUNS` for each; what has a folder in ``--out`` is not run again. Seconds were
taken beside other busy processes.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.choice.members import images_of, lean_callbacks, logits, words_of
from benchmarks.choice.recipes import Recipe, recipe_of
from benchmarks.choice.scenarios import NETWORKS, Scenario
from benchmarks.rows import append, read_rows
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run
from tlearn.training.module import TransferModule

RUNS = Path(__file__).parent / "runs.csv"
SETS = ("pcb_defects", "spoken_digit_spectrograms", "apple_leaves")
TEACHERS = ("lp_ft_1e-4", "lp_ft_3e-4")
STUDENT = "lp_ft_3e-4"
_MIXED = ("--data.augment.mixup_alpha", "1.0")


@dataclass(frozen=True)
class Run:
    """One network.

    Attributes:
        dataset: One of `SETS`.
        seed: Of the draw of images and of the run.
        name: One of `TEACHERS`, ``ensemble``, or ``distilled`` with the share and the temperature.
        test_images: How many.
        test_acc: Share of them that are right.
        time_s: Of the fit, without imports.
    """

    dataset: str
    seed: int
    name: str
    test_images: int
    test_acc: float
    time_s: float


class Place:
    """The runs of one data set and seed.

    Args:
        dataset: Its name.
        seed: Of the draw and of the runs.
        given: The parsed command line.
    """

    def __init__(self, dataset: str, seed: int, given: argparse.Namespace) -> None:
        self.scenario, self.seed = Scenario(dataset, 25, "lite0"), seed
        self.folder: Path = given.out / f"{dataset}-{seed}"
        self.images, self.weights = images_of(self.scenario, seed, given.root), given.weights
        self.stages = TransferModule(2, backbone=NETWORKS["lite0"][0], weights=None).backbone.tappable

    def tune(self, name: str, member: str, words: Sequence[str] = ()) -> None:
        """Train one network by a recipe, and note what it reaches."""
        recipe = self._recipe(member)
        config = self.folder / f"{name}.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps({"model": recipe.model}))
        self._fit(name, [*self._words(recipe), "--config", str(config), *words])

    def average(self, name: str, members: Sequence[str]) -> None:
        """Make one network of several, and note what it reaches."""
        own = iter(self._words(self._recipe(members[0])))
        words = [word for option in own for word in (option, next(own)) if not option.startswith("--model.")]
        self._fit(name, [*words, "--model.ensemble", json.dumps([str(self.checkpoint(each)) for each in members])])

    def checkpoint(self, name: str) -> Path:
        """Return the file of a run's last epoch."""
        return next(iter(sorted((self.folder / name).rglob("last.ckpt"))), self.folder / name / "last.ckpt")

    def _recipe(self, member: str) -> Recipe:
        return recipe_of(member, self.stages, self.scenario.epochs, "classification")

    def _words(self, recipe: Recipe) -> list[str]:
        return words_of(self.scenario, self.seed, self.images, self.weights, recipe)

    def _fit(self, name: str, words: Sequence[str]) -> None:
        if self.checkpoint(name).exists():
            return
        start_s = time.perf_counter()
        with patch("tlearn.cli.transfer_cli.fit_callbacks", lean_callbacks):
            cli = run(split_arguments(["fit", *words, "--trainer.default_root_dir", str(self.folder / name)]))
        time_s = time.perf_counter() - start_s
        stored = torch.load(self.checkpoint(name), weights_only=True)
        cli.model.load_state_dict(stored["state_dict"])
        right = logits(cli, "test").argmax(1) == cli.datamodule.stored["test"][1]
        score = round(float(right.float().mean()), 4)
        append(Run(self.scenario.dataset, self.seed, name, len(right), score, round(time_s, 2)), RUNS)
        print(self.folder.name, name, score, f"{time_s:.0f} s", flush=True)


def read_runs(path: Path = RUNS) -> list[Run]:
    """Read what has been run."""
    return read_rows(Run, path)


def table(runs: Sequence[Run]) -> str:
    """Return the means over the seeds, as Markdown."""
    names = list(dict.fromkeys(each.name for each in runs))
    lines = [f"| set | seeds | {' | '.join(names)} |", "| --- " * (len(names) + 2) + "|"]
    for dataset in dict.fromkeys(each.dataset for each in runs):
        own = [[each.test_acc for each in runs if (each.dataset, each.name) == (dataset, name)] for name in names]
        means = [f"{100 * sum(each) / len(each):.1f}" if each else "" for each in own]
        lines.append(f"| {dataset} | {max(map(len, own))} | {' | '.join(means)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--root", "--weights", "--out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--distill", nargs="*", default=["0.9:4"], metavar="SHARE:TEMPERATURE")
    parser.add_argument("--mixup", action="store_true", help="the student, and one without a teacher, on mixed images")
    given = parser.parse_args()
    logging.disable(logging.INFO)
    for seed in given.seeds:
        for dataset in given.only:
            place = Place(dataset, seed, given)
            for member in TEACHERS:
                place.tune(member, member)
            place.average("ensemble", TEACHERS)
            for share, temperature in (each.split(":") for each in given.distill):
                how = ["--model.distill_weight", share, "--model.distill_temperature", temperature]
                teacher = ["--model.distill_from", str(place.checkpoint("ensemble"))]
                name, words = f"distilled {share} {temperature}", [*teacher, *how]
                place.tune(name, STUDENT, words)
                if given.mixup:
                    place.tune(f"{name} mixup", STUDENT, [*words, *_MIXED])
            if given.mixup:
                place.tune(f"{STUDENT} mixup", STUDENT, _MIXED)
    print(table(read_runs()))


if __name__ == "__main__":
    main()
