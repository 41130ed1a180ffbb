"""Strategies against each other on real CIFAR-10: what transfer is worth with 20, 100 and 500 labels a class.

    python -m benchmarks.strategies --root DATA                     # the whole table
    python -m benchmarks.strategies --root DATA --only lp_ft --labels 100 --seeds 1

A ResNet18 learns five of the classes from scratch; the other five are learned from few labels, by every strategy, with
the same recipe, but for a lower rate where the head starts solved; 500 images serve as validation. Accuracy is on the
target's 5,000 test images, of the epoch that validation liked best. Seconds are those of a whole `fit` but for the
imports. Finished runs in the results file are not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean
from typing import Any

from tlearn.cli.arguments import split_arguments
from tlearn.cli.transfer_cli import run
from tlearn.training.callbacks.checkpoints import BestCheckpoint

SOURCE = ["airplane", "bird", "deer", "frog", "ship"]
TARGET = ["automobile", "cat", "dog", "horse", "truck"]
# A solved head has larger weights than a new one (standard deviation up to 0.11 against 0.026), and larger gradients
# reach the backbone: at the others' rate of 0.01 LP-FT ended at 52.8 % with 500 labels a class (n = 3).
GENTLE = ["--model.optimizer.lr", "0.001"]
STRATEGIES: dict[str, list[str]] = {
    "scratch": ["--model.weights", "null"],
    "frozen": ["--model.freeze_backbone", "true"],
    "partial": ["--model.freeze_until", "layer2"],
    "full": [],
    "lp_ft": ["--model.head_init", "probe", *GENTLE],
    "l2_sp": ["--model.l2_sp", "0.01"],
    "wise_ft": ["--model.head_init", "probe", "--model.wise_ft", "true", *GENTLE],
}
EPOCHS = {20: 40, 100: 20, 500: 10}  # fewer labels make fewer steps an epoch
RECIPE = ["--model.optimizer.lr", "0.01", "--data.batch_size", "64"]
RECIPE += ["--data.augment.flip", "true", "--data.augment.crop_padding_px", "4"]


def fit(root: str, folder: Path, classes: list[str], *words: str) -> tuple[Path, float]:
    """Train with ``finetune.yaml`` and these words; return the best checkpoint and the seconds that it took."""
    common = ["fit", "--config", "finetune.yaml", "--data.root", root, "--data.classes", json.dumps(classes)]
    start = time.perf_counter()
    trainer = run(split_arguments([*common, *RECIPE, "--trainer.default_root_dir", str(folder), *words])).trainer
    best = next(c for c in trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
    return Path(best.best_model_path), time.perf_counter() - start


def test(root: str, checkpoint: Path) -> float:
    """Return the accuracy of a checkpoint on the test images."""
    words = ["test", "--ckpt_path", str(checkpoint), "--data.root", root, "--data.batch_size", "500"]
    return float(run(split_arguments(words)).trainer.callback_metrics["test/acc"])


def source(root: str, folder: Path, epochs: int) -> Path:
    """Train the source network once."""
    kept = folder / "source.json"
    if not kept.exists():
        words = ["--model.weights", "null", "--trainer.max_epochs", str(epochs), "--data.batch_size", "256"]
        words += ["--model.optimizer.lr", "0.05", "--model.optimizer.weight_decay", "5e-4"]
        words += ["--model.lr_scheduler", "CosineAnnealingLR", "--model.lr_scheduler.T_max", str(epochs)]
        checkpoint, time_s = fit(root, folder, SOURCE, *words)
        accuracy = test(root, checkpoint)
        kept.write_text(json.dumps({"checkpoint": str(checkpoint), "time_s": time_s, "test_acc": accuracy}))
    return Path(json.loads(kept.read_text())["checkpoint"])


def one(root: str, folder: Path, weights: Path, strategy: str, labels: int, seed: int) -> dict[str, Any]:
    """Run one strategy once."""
    words = ["--model.weights", str(weights), *STRATEGIES[strategy], "--seed_everything", str(seed)]
    words += ["--data.split_seed", str(seed), "--data.train_per_class", str(labels)]
    words += ["--trainer.max_epochs", str(EPOCHS[labels]), "--data.val_fraction", "0.02"]
    checkpoint, time_s = fit(root, folder, TARGET, *words)
    if strategy == "wise_ft":
        checkpoint = checkpoint.with_name("wise_ft.ckpt")
    return {
        "strategy": strategy,
        "labels": labels,
        "seed": seed,
        "test_acc": test(root, checkpoint),
        "time_s": time_s,
    }


def table(results: list[dict[str, Any]]) -> str:
    """Write the results as Markdown: mean (lowest to highest) accuracy in percent, mean seconds."""
    labels = sorted({result["labels"] for result in results})
    lines = ["| strategy | " + " | ".join(f"{n} labels a class | s" for n in labels) + " |"]
    lines.append("| --- |" + " --- | --- |" * len(labels))
    for strategy in STRATEGIES:
        cells = []
        for count in labels:
            runs = [r for r in results if r["strategy"] == strategy and r["labels"] == count]
            if not runs:
                cells.append("not measured | ")
                continue
            accuracies = [100 * r["test_acc"] for r in runs]
            spread = f"{mean(accuracies):.1f} ({min(accuracies):.1f} to {max(accuracies):.1f})"
            cells.append(f"{spread} | {mean(r['time_s'] for r in runs):.0f}")
        lines.append(f"| {strategy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with CIFAR-10")
    parser.add_argument("--folder", type=Path, default=Path("runs/strategies"), help="for runs and results")
    parser.add_argument("--only", nargs="*", choices=list(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--labels", nargs="*", type=int, choices=list(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--source_epochs", type=int, default=12)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "results.jsonl"
    weights = source(arguments.root, arguments.folder, arguments.source_epochs)
    results = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(r["strategy"], r["labels"], r["seed"]) for r in results}
    for seed in range(arguments.seeds):
        for labels in arguments.labels:
            for strategy in arguments.only:
                if (strategy, labels, seed) not in done:
                    results.append(one(arguments.root, arguments.folder, weights, strategy, labels, seed))
                    with kept.open("a") as file:
                        file.write(json.dumps(results[-1]) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
