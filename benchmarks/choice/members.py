"""Really run a member of a scenario, and keep what it answered, so that any rule can be judged afterwards."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from benchmarks.advise.images import DrawnDataModule, draw
from benchmarks.choice.recipes import Recipe, recipe_of
from benchmarks.choice.scenarios import NETWORKS, Scenario
from benchmarks.choice.tasks import TASKS, draw_task
from benchmarks.rows import read_rows
from tlearn.analysis.race.paired import image_scores
from tlearn.base.types import Task
from tlearn.cli.arguments import split_arguments
from tlearn.cli.callbacks import FitRun, fit_callbacks
from tlearn.cli.transfer_cli import TransferCLI, run
from tlearn.models.state import evaluating
from tlearn.reporting.card.callbacks import RunCardCallback
from tlearn.reporting.evidence import ReliabilityCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint
from tlearn.training.module import TransferModule

RUNS = Path(__file__).parent / "runs.csv"
CPU_RUNS = RUNS.with_name("runs_cpu.csv")  # for their seconds
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
        time_s: Of the fit, without imports, and of answering.
        device: What computed.
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
    device: str
    command: str


def answers_path(folder: Path, scenario: str, member: str, seed: int) -> Path:
    """Return where a folder keeps what a run answered."""
    return folder / f"{scenario}-{member}-{seed}.npz"


def images_of(scenario: Scenario, seed: int, root: Path) -> Path:
    """Draw the images of a scenario, if that has not been done."""
    path = root / "drawn" / f"choice-{scenario.dataset}-{scenario.labels}-{seed}.pt"
    if path.exists():
        return path
    if scenario.dataset in TASKS:
        draw_task(scenario.dataset, scenario.labels, seed, root, path)
    else:
        draw(scenario.dataset, (), scenario.labels, seed, root, path)
    return path


def words_of(scenario: Scenario, seed: int, images: Path, weights: Path, recipe: Recipe) -> list[str]:
    """Return the options that the members of a scenario share."""
    backbone, file = NETWORKS[scenario.source]
    source = "null" if file is None or recipe.knows_nothing else str(weights / file)
    return [
        *("--data", "benchmarks.advise.images.DrawnDataModule", "--data.path", str(images)),
        *("--data.batch_size", str(_BATCH_SIZE), "--seed_everything", str(seed)),
        *("--data.augment", json.dumps(recipe.augment)),
        *("--model.backbone", backbone, "--model.weights", source),
        *("--model.image_size", str(scenario.image_size_px), "--trainer.max_epochs", str(recipe.epochs)),
        *("--trainer.enable_progress_bar", "false", "--trainer.callbacks", "[]"),
        *("--trainer.precision", "32-true", "--trainer.logger", "false"),  # float32 trains these networks 1.6 x as fast
    ]


def run_member(scenario: Scenario, member: str, seed: int, root: Path, weights: Path, out: Path) -> Run:
    """Fit one member, keep what it answers, and return its line."""
    start_s = time.perf_counter()
    cli, watched = _fitted(scenario, member, seed, root, weights)
    time_s = time.perf_counter() - start_s
    answers, targets = watched.answers, {split: cli.datamodule.stored[split][1] for split in ("val", "test")}
    kept: dict[str, Any] = {name: value.numpy().astype(np.float16) for name, value in answers.items()}
    kept |= {f"{split}_targets": value.numpy() for split, value in targets.items()}
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(answers_path(out, scenario.name, member, seed), **kept)
    task: Task = cli.datamodule.task
    reached = {
        name: float(image_scores(task, answers[f"test_{name}"], targets["test"]).mean()) for name in ("best", "last")
    }
    command = shlex.join(["python", "-m", "benchmarks.choice.fill", "--only", scenario.name])
    command += f" --members {member} --seeds {seed}"
    return Run(
        *(scenario.name, member, seed, len(targets["test"])),
        *(round(reached["best"], 4), round(reached["last"], 4), len(targets["val"])),
        val_losses=json.dumps(watched.losses),
        time_s=round(time_s, 2),
        device=device_name(),
        command=command,
    )


def _fitted(scenario: Scenario, member: str, seed: int, root: Path, weights: Path) -> tuple[TransferCLI, _Watch]:
    images = images_of(scenario, seed, root)
    stages = TransferModule(2, backbone=NETWORKS[scenario.source][0], weights=None).backbone.tappable
    recipe = recipe_of(member, stages, scenario.epochs, DrawnDataModule(str(images)).task)
    words = ["fit", *words_of(scenario, seed, images, weights, recipe)]
    with TemporaryDirectory() as folder:
        config = Path(folder, "member.yaml")
        config.write_text(json.dumps({"model": recipe.model}))
        watched = _Watch()
        with patch("tlearn.cli.transfer_cli.fit_callbacks", lambda run: [watched, *lean_callbacks(run)]):
            cli = run(split_arguments([*words, "--config", str(config), "--trainer.default_root_dir", folder]))
        watched.answer(cli, "last")
        best = next(c for c in cli.trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
        stored = torch.load(best.best_model_path, weights_only=True)
        if stored["epoch"] + 1 < cli.trainer.current_epoch:
            cli.model.load_state_dict(stored["state_dict"])
            watched.answer(cli, "best")
        else:
            watched.answers |= {f"{split}_best": watched.answers[f"{split}_last"] for split in ("val", "test")}
    return cli, watched


def logits(cli: TransferCLI, split: str) -> torch.Tensor:
    """Return what the network, as it is now, gives for a split, in the unit of the targets (N, K)."""
    assert isinstance(cli.datamodule, DrawnDataModule)
    images, _ = cli.datamodule.stored[split]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = cli.model.to(device)
    with evaluating(model):
        return torch.cat([model.in_unit(model(part.to(device))).float().cpu() for part in images.split(128)])


def device_name() -> str:
    """Name what computes."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


class _Watch(Callback):
    """Keep val/loss of each epoch, and what the network answers."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.answers: dict[str, torch.Tensor] = {}

    def answer(self, cli: TransferCLI, epoch: str) -> None:
        """Keep the answers to validation and test of the network as it is now."""
        self.answers |= {f"{split}_{epoch}": logits(cli, split) for split in ("val", "test")}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep that of the epoch that has just been validated."""
        if not trainer.sanity_checking:
            self.losses.append(round(float(trainer.callback_metrics["val/loss"]), 5))


def lean_callbacks(run: FitRun) -> list[Callback]:
    """Return what a fit has, less the card and what only the report shows: seconds that teach a run nothing."""
    return [each for each in fit_callbacks(run) if not isinstance(each, (RunCardCallback, ReliabilityCallback))]


def read_runs(path: Path = RUNS) -> list[Run]:
    """Read what has been run."""
    return read_rows(Run, path) if path.exists() else []
