"""Really run every member of every scenario, and keep what it answered, so that any rule can be judged afterwards.

    python -m benchmarks.choice.members --root DATA --weights FOLDER --out ANSWERS [--only pcb_defects-25-lite0]

DATA holds ``cifar/`` (CIFAR-10 in torchvision's format), ``hym/`` (ants and bees) and ``sets/NAME`` (``train/<class>``
and ``test/<class>``); FOLDER the networks of `scenarios.NETWORKS`. `--only` also takes the name of
a set of your own there. A line of `RUNS` for each run; ANSWERS gets its
logits as one npz. Lines that the file has are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import shlex
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from benchmarks.advise.images import DrawnDataModule, draw
from benchmarks.advise.runs import append
from benchmarks.choice.scenarios import IMAGE_SIZE_PX, NETWORKS, SCENARIOS, Scenario, scenario_of
from tlearn.analysis.race.recipes import options_of
from tlearn.cli.arguments import split_arguments
from tlearn.cli.callbacks import FitRun, fit_callbacks
from tlearn.cli.transfer_cli import TransferCLI, run
from tlearn.models.state import evaluating
from tlearn.reporting.card.callbacks import RunCardCallback
from tlearn.reporting.evidence import ReliabilityCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint
from tlearn.training.module import TransferModule

RUNS = Path(__file__).parent / "runs.csv"
MEMBERS = ("last", "head", "lp_ft_1e-4", "lp_ft_3e-4", "lp_ft_1e-3", "partial_3e-4")
_BATCH_SIZE = 32


@dataclass(frozen=True)
class Run:
    """One run; accuracies are shares of 1.

    Attributes:
        scenario: Its name.
        member: One of `MEMBERS`.
        seed: Of the draw of images and of the run.
        test_images: How many.
        test_acc: Of the epoch that validation liked best, as `fit` keeps it.
        last_test_acc: Of the last epoch.
        val_images: How many.
        val_losses: After each epoch, as JSON.
        time_s: Of the fit, without imports.
        command: That makes the line again.
    """

    scenario: str
    member: str
    seed: int
    test_images: int
    test_acc: float
    last_test_acc: float
    val_images: int
    val_losses: str
    time_s: float
    command: str


def images_of(scenario: Scenario, seed: int, root: Path) -> Path:
    """Draw the images of a scenario, if that has not been done."""
    path = root / "drawn" / f"choice-{scenario.dataset}-{scenario.labels}-{seed}.pt"
    if not path.exists():
        draw(scenario.dataset, (), scenario.labels, seed, root, path)
    return path


def words_of(scenario: Scenario, seed: int, images: Path, weights: Path) -> list[str]:
    """Return the options that all members of a scenario share."""
    backbone, file = NETWORKS[scenario.source]
    return [
        *("--data", "benchmarks.advise.images.DrawnDataModule", "--data.path", str(images)),
        *("--data.batch_size", str(_BATCH_SIZE), "--seed_everything", str(seed)),
        *("--model.backbone", backbone, "--model.weights", str(weights / file)),
        *("--model.image_size", str(IMAGE_SIZE_PX), "--trainer.max_epochs", str(scenario.epochs)),
        *("--trainer.enable_progress_bar", "false", "--trainer.callbacks", "[]"),
        *("--trainer.precision", "32-true", "--trainer.logger", "false"),  # float32 trains these networks 1.6 x as fast
    ]


def run_member(scenario: Scenario, member: str, seed: int, root: Path, weights: Path, out: Path) -> Run:
    """Fit one member, keep what it answers, and return its line."""
    stages = TransferModule(2, backbone=NETWORKS[scenario.source][0], weights=None).backbone.tappable
    words = ["fit", *words_of(scenario, seed, images_of(scenario, seed, root), weights)]
    with TemporaryDirectory() as folder:
        config = Path(folder, "member.yaml")
        config.write_text(json.dumps({"model": options_of(member, stages, scenario.epochs)}))
        watched, start_s = _Losses(), time.perf_counter()
        with patch("tlearn.cli.transfer_cli.fit_callbacks", lambda run: [watched, *lean_callbacks(run)]):
            cli = run(split_arguments([*words, "--config", str(config), "--trainer.default_root_dir", folder]))
        time_s = time.perf_counter() - start_s
        answers = {f"{split}_last": logits(cli, split) for split in ("val", "test")}
        best = next(c for c in cli.trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
        stored = torch.load(best.best_model_path, weights_only=True)
        if stored["epoch"] + 1 < cli.trainer.current_epoch:
            cli.model.load_state_dict(stored["state_dict"])
            answers |= {f"{split}_best": logits(cli, split) for split in ("val", "test")}
        else:
            answers |= {f"{split}_best": answers[f"{split}_last"] for split in ("val", "test")}
    targets = {split: cli.datamodule.stored[split][1] for split in ("train", "val", "test")}
    held_out = cli.model.out_of_fold
    kept: dict[str, Any] = {name: value.numpy() for name, value in answers.items()}
    kept |= {f"{split}_targets": value.numpy() for split, value in targets.items()}
    if held_out is not None:
        kept |= {"oof": held_out.logits.float().numpy(), "oof_rows": held_out.indices.numpy()}
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / f"{scenario.name}-{member}-{seed}.npz", **kept)
    reached = {
        name: float((answers[f"test_{name}"].argmax(1) == targets["test"]).float().mean()) for name in ("best", "last")
    }
    command = shlex.join(["python", "-m", "benchmarks.choice.members", "--only", scenario.name])
    command += f" --members {member} --seeds {seed}"
    return Run(
        *(scenario.name, member, seed, len(targets["test"])),
        *(round(reached["best"], 4), round(reached["last"], 4), len(targets["val"])),
        *(json.dumps(watched.losses), round(time_s, 2), command),
    )


def logits(cli: TransferCLI, split: str) -> torch.Tensor:
    """Return what the network, as it is now, gives for a split, (N, K)."""
    assert isinstance(cli.datamodule, DrawnDataModule)
    images, _ = cli.datamodule.stored[split]
    with evaluating(cli.model):
        return torch.cat([cli.model(part).float() for part in images.split(128)])


class _Losses(Callback):
    """Keep val/loss of each epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep that of the epoch that has just been validated."""
        if not trainer.sanity_checking:
            self.losses.append(round(float(trainer.callback_metrics["val/loss"]), 5))


def lean_callbacks(run: FitRun) -> list[Callback]:
    """Return what a fit has, less the card and what only the report shows: seconds that teach a run nothing."""
    return [each for each in fit_callbacks(run) if not isinstance(each, (RunCardCallback, ReliabilityCallback))]


def read_runs(path: Path = RUNS) -> list[Run]:
    """Read what has been run."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_parsed(row) for row in csv.DictReader(file)]


def _parsed(row: dict[str, str]) -> Run:
    kinds: dict[str, Any] = dict.fromkeys(row, str) | dict.fromkeys(("seed", "test_images", "val_images"), int)
    kinds |= dict.fromkeys(("test_acc", "last_test_acc", "time_s"), float)
    return Run(**{name: kinds[name](value) for name, value in row.items()})


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--root", "--weights", "--out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--members", nargs="*", default=list(MEMBERS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    given = parser.parse_args()
    logging.disable(logging.INFO)
    done = {(run.scenario, run.member, run.seed) for run in read_runs()}
    for seed in given.seeds:
        for scenario in map(scenario_of, given.only):
            for member in given.members:
                if (scenario.name, member, seed) not in done:
                    found = run_member(scenario, member, seed, given.root, given.weights, given.out)
                    append(found, RUNS)
                    told = asdict(found)
                    shown = {name: told[name] for name in ("scenario", "member", "seed", "time_s")}  # no score is shown
                    print(shown, flush=True)


if __name__ == "__main__":
    main()
