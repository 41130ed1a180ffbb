"""Collect the raw answers that calibrations are compared on: real runs of the scenarios of ``benchmarks/advise``.

    python -m benchmarks.believe.calibration_answers --root DATA --sources NETWORKS --seeds 0 1 2
    python -m benchmarks.believe.calibration_answers --root DATA --sources NETWORKS --candidates lp_ft full --minutes 25

DATA and NETWORKS are those of ``benchmarks/advise/README.md``. ``frozen`` and ``tap``, run by default, are heads solved
on computed features, with their answers out of fold; the others are really run, the shortest first, until the time
is over. A run is a file in ``DATA/believe/calibration``; those that are there are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.advise.runs import FILES, RESULTS, all_candidates, images_of, stages_of, words_of
from benchmarks.advise.scenarios import SCENARIOS, Scenario
from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions
from tlearn.models.state import evaluating
from tlearn.training.callbacks.checkpoints import BestCheckpoint
from tlearn.training.strategies.head_solver import solve_head, turn_weighted
from tlearn.training.strategies.out_of_fold import out_of_fold

_SOLVED = ("frozen", "tap")
Answers = dict[str, tuple[Tensor, Tensor]]  # split to logits (N, K) and class numbers (N,)


def folder_of(root: Path) -> Path:
    """Return where the answers lie."""
    return root / "believe" / "calibration"


def path_of(root: Path, scenario: Scenario, candidate: str, seed: int) -> Path:
    """Return the file of one run."""
    return folder_of(root) / f"{scenario.name}-{candidate}-{seed}.pt"


@torch.inference_mode()
def _stage_features(scenario: Scenario, images: Tensor, sources: Path) -> list[Tensor]:
    """Compute the pooled output of each stage, (N, width)."""
    taps = list(stages_of(scenario, sources))
    weights = str(sources / FILES[scenario.source])
    options = NetworkOptions(
        len(scenario.classes),
        backbone=scenario.backbone,
        weights=weights,
        image_size=scenario.image_size_px,
        tap=taps,
    )
    network = Network(options).eval()
    rows = torch.cat([network.features(part) for part in images.split(128)]).float()
    return list(rows.clone().split(list(network.backbone.widths), dim=1))


@cache
def _test_features(scenario: Scenario, path: Path, sources: Path) -> list[Tensor]:
    return _stage_features(scenario, torch.load(path, weights_only=True)["test"][0], sources)


def solved_heads(scenario: Scenario, seed: int, root: Path, sources: Path) -> dict[str, Answers]:
    """Return the answers of ``frozen`` and ``tap``."""
    path = images_of(scenario, seed, root)
    stored = torch.load(path, weights_only=True)
    features = {part: _stage_features(scenario, stored[part][0], sources) for part in ("train", "val")}
    first = images_of(next(s for s in SCENARIOS if (s.data, s.source) == (scenario.data, scenario.source)), 0, root)
    shown = torch.load(first, weights_only=True)["test"][1]
    assert torch.equal(shown, stored["test"][1]), "all seeds and labels share their test images"
    key = next(s for s in SCENARIOS if (s.data, s.source) == (scenario.data, scenario.source))
    features["test"] = _test_features(key, first, sources)
    taken = {"frozen": slice(-1, None), "tap": slice(None)}
    return {
        name: _answers({part: (torch.cat(rows[stages], 1), stored[part][1]) for part, rows in features.items()})
        for name, stages in taken.items()
    }


def _answers(parts: Answers) -> Answers:
    """Solve the head as `fit` does, with answers out of fold."""
    (rows, labels), classes = parts["train"], int(parts["train"][1].max()) + 1
    turned = turn_weighted(rows, labels, None)
    head = solve_head("classification", parts["train"], parts["val"], classes, "lbfgs", turned=turned)
    found = {part: (parts[part][0] @ head.weight.T + head.bias, parts[part][1]) for part in ("val", "test")}
    unseen = out_of_fold("classification", turned, labels, None, "lbfgs", head)
    assert unseen is not None
    return found | {"out_of_fold": (unseen.logits, labels)}


def trained(scenario: Scenario, candidate: str, seed: int, root: Path, sources: Path) -> Answers:
    """Really run a candidate, and return the answers of its best epoch, as `fit` keeps it."""
    stages = stages_of(scenario, sources)
    chosen = next(each for each in all_candidates(stages, scenario.epochs) if each.name == candidate)
    words = ["fit", *words_of(scenario, seed, images_of(scenario, seed, root), sources)]
    with TemporaryDirectory() as folder:
        config = Path(folder, "candidate.yaml")
        config.write_text(json.dumps({"model": chosen.options}))
        if "weights" in chosen.options:
            words += ["--model.weights", "null"]
        cli = run(split_arguments([*words, "--config", str(config), "--trainer.default_root_dir", folder]))
        best = next(c for c in cli.trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
        cli.model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    stored = cli.datamodule.stored
    with evaluating(cli.model):
        return {
            part: (torch.cat([cli.model(images).float() for images in stored[part][0].split(250)]), stored[part][1])
            for part in ("val", "test")
        }


def _by_length(candidates: Sequence[str]) -> list[tuple[Scenario, str]]:
    """List scenarios with candidates, the shortest first, by the seconds that an earlier run took."""
    with RESULTS.open(newline="") as file:
        took = {(row["scenario"], row["candidate"]): float(row["time_s"]) for row in csv.DictReader(file)}
    pairs = [(scenario, name) for scenario in SCENARIOS for name in candidates if (scenario.name, name) in took]
    return sorted(pairs, key=lambda pair: took[pair[0].name, pair[1]])


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--candidates", nargs="*", default=list(_SOLVED))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=1e9)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    folder_of(given.root).mkdir(parents=True, exist_ok=True)
    end_s = time.monotonic() + 60 * given.minutes
    for seed in given.seeds:
        for scenario in SCENARIOS if set(_SOLVED) & set(given.candidates) else []:
            if time.monotonic() < end_s and not path_of(given.root, scenario, _SOLVED[0], seed).exists():
                for name, answers in solved_heads(scenario, seed, given.root, given.sources).items():
                    torch.save(answers, path_of(given.root, scenario, name, seed))
        for scenario, name in _by_length([each for each in given.candidates if each not in _SOLVED]):
            path = path_of(given.root, scenario, name, seed)
            if time.monotonic() < end_s and not path.exists():
                torch.save(trained(scenario, name, seed, given.root, given.sources), path)


if __name__ == "__main__":
    main()
