"""Really run every candidate of every scenario, and keep what it reached as a line of a CSV file.

    python -m benchmarks.advise.runs --root DATA --sources FOLDER [--only cifar10-25-imagenet] [--seeds 0 1 2]

DATA holds ``cifar/`` (CIFAR-10 in torchvision's format) and ``hym/`` (ants and bees); FOLDER holds the networks that
scenarios start from: ``imagenet.safetensors``, ``cifar5.ckpt``, ``digits5.ckpt`` and ``random.pth`` (see `sources`).
Lines that the file has are not run again. Accuracy is on 1,000 test images (or all there are) that neither training nor
advice sees, of the epoch that validation liked best, as `fit` keeps it. A scratch run counts for all sources of a
network.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.advise.images import DrawnDataModule, draw
from benchmarks.advise.scenarios import SCENARIOS, Scenario
from benchmarks.rows import append, read_rows
from tlearn.analysis.candidates import Candidate, candidates
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import TransferCLI, run
from tlearn.models.state import evaluating
from tlearn.training.callbacks.checkpoints import BestCheckpoint
from tlearn.training.module import TransferModule

RESULTS = Path(__file__).parent / "results.csv"
FILES = {"imagenet": "imagenet.safetensors", "cifar5": "cifar5.ckpt", "digits5": "digits5.ckpt", "random": "random.pth"}
BATCH_SIZE = 32


@dataclass(frozen=True)
class Result:
    """One run; accuracies are shares of 1."""

    scenario: str
    data: str
    source: str
    labels: int
    candidate: str
    seed: int
    test_acc: float
    last_test_acc: float
    val_acc: float
    time_s: float
    command: str


def words_of(scenario: Scenario, seed: int, images: Path, sources: Path) -> list[str]:
    """Return the options that all candidates of a scenario share."""
    return [
        *("--data", "benchmarks.advise.images.DrawnDataModule", "--data.path", str(images)),
        *("--data.batch_size", str(BATCH_SIZE), "--data.augment.flip", str(scenario.dataset != "digits").lower()),
        *("--data.augment.crop_padding_px", "4", "--seed_everything", str(seed)),
        *("--model.backbone", scenario.backbone, "--model.weights", str(sources / FILES[scenario.source])),
        *("--model.image_size", str(scenario.image_size_px), "--trainer.max_epochs", str(scenario.epochs)),
        *("--trainer.enable_progress_bar", "false", "--trainer.precision", "32-true"),
    ]


def images_of(scenario: Scenario, seed: int, root: Path) -> Path:
    """Draw the images of a scenario, if that has not been done."""
    path = root / "drawn" / f"{scenario.data}-{scenario.labels}-{seed}.pt"
    if not path.exists():
        draw(scenario.dataset, scenario.classes, scenario.labels, seed, root, path)
    return path


def stages_of(scenario: Scenario, sources: Path) -> tuple[str, ...]:
    """Return the stages of a scenario's network that can be tapped."""
    return TransferModule(2, backbone=scenario.backbone, weights=None).backbone.tappable


def all_candidates(stages: Sequence[str], epochs: int) -> list[Candidate]:
    """List the candidates, and a head on each single stage but the last: advice may name any."""
    found = candidates("classification", stages, stages, stages, epochs)
    for stage in stages[:-1]:
        single = candidates("classification", stages, [stage], stages, epochs)
        found.append(replace(next(each for each in single if each.name == "tap"), name=f"tap_{stage}"))
    return found


def run_candidate(scenario: Scenario, candidate: Candidate, seed: int, root: Path, sources: Path) -> Result:
    """Fit one candidate, and look at what it is worth."""
    words = ["fit", *words_of(scenario, seed, images_of(scenario, seed, root), sources)]
    with TemporaryDirectory() as folder:
        config = Path(folder, "candidate.yaml")
        config.write_text(json.dumps({"model": candidate.options}))
        if "weights" in candidate.options:
            words += ["--model.weights", "null"]  # the last word counts
        start_s = time.perf_counter()
        cli = run(split_arguments([*words, "--config", str(config), "--trainer.default_root_dir", folder]))
        time_s = time.perf_counter() - start_s
        last = accuracy(cli)
        best = next(c for c in cli.trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
        stored = torch.load(best.best_model_path, weights_only=True)
        cli.model.load_state_dict(stored["state_dict"])
        reached = last if stored["epoch"] + 1 == cli.trainer.max_epochs else accuracy(cli)
        val = float(best.best_model_score)  # type: ignore[arg-type]  # it is set after a fit
    command = shlex.join(["python", "-m", "benchmarks.advise.runs", "--only", scenario.name])
    command += f" --candidates {candidate.name} --seeds {seed}"
    about = (scenario.name, scenario.data, scenario.source, scenario.labels, candidate.name, seed)
    return Result(*about, round(reached, 4), round(last, 4), round(val, 4), round(time_s, 2), command)


def accuracy(cli: TransferCLI) -> float:
    """Return the accuracy of a run's network, as it is now, on the test images."""
    assert isinstance(cli.datamodule, DrawnDataModule)
    images, targets = cli.datamodule.stored["test"]
    with evaluating(cli.model):
        answers = [cli.model(part).argmax(dim=1) for part in images.split(250)]
    return float((torch.cat(answers) == targets).float().mean())


def read_results(path: Path = RESULTS) -> list[Result]:
    """Read what has been run."""
    return read_rows(Result, path) if path.exists() else []


def scratch_twin(scenario: Scenario, seed: int, results: Sequence[Result]) -> Result | None:
    """Return the scratch run of the same images and network from another source, if there is one."""
    same = {
        s.name
        for s in SCENARIOS
        if (s.data, s.labels, s.backbone) == (scenario.data, scenario.labels, scenario.backbone)
    }
    return next((r for r in results if r.scenario in same and r.candidate == "scratch" and r.seed == seed), None)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--candidates", nargs="*", default=["frozen", "tap", "partial", "lp_ft", "full", "scratch"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    results = read_results()
    done = {(r.scenario, r.candidate, r.seed) for r in results}
    for seed in arguments.seeds:
        for scenario in (s for s in SCENARIOS if s.name in arguments.only):
            stages = stages_of(scenario, arguments.sources)
            for candidate in all_candidates(stages, scenario.epochs):
                if candidate.name not in arguments.candidates or (scenario.name, candidate.name, seed) in done:
                    continue
                twin = scratch_twin(scenario, seed, results) if candidate.name == "scratch" else None
                result = (
                    replace(twin, scenario=scenario.name, source=scenario.source)
                    if twin
                    else run_candidate(scenario, candidate, seed, arguments.root, arguments.sources)
                )
                results.append(result)
                append(result, RESULTS)


if __name__ == "__main__":
    main()
