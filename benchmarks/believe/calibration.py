"""Does calibration do no harm? Compare calibrations on the answers that `calibration_answers` collected.

    python -m benchmarks.believe.calibration --root DATA     # calibration.csv, a line for each run and calibration
    python -m benchmarks.believe.calibration                 # the table of the lines

A run counts as not worse where its calibration error (ECE, 15 bins) on the test images is at most 0.005 above the raw
one; the table says it without that tolerance too, and with twice the standard error of the difference (paired bootstrap
of the test images). Scenarios in the order of their names are dealt to two halves: the numbers of `calibrate` were
chosen on the first.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.advise.scenarios import SCENARIOS
from benchmarks.believe.calibration_answers import Answers, folder_of
from tlearn.models.calibration import AS_TRAINED, Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability import calibrate
from tlearn.models.reliability.calibrate import fit_calibration, fit_temperature
from tlearn.models.reliability.calibration_error import BINS, reliability_of

RESULTS = Path(__file__).parent / "calibration.csv"
TOLERANCE = 0.005
_RESAMPLES = 200
_HALVES = ("chosen on", "held out")
# What `fit` does, and without its parts: the numbers of the module that are other.
_VARIANTS: dict[str, dict[str, Any]] = {
    "fit": {},
    "fit, always kept": {"_STANDARD_ERRORS": -math.inf},
    "fit, kept at any gain": {"_STANDARD_ERRORS": 0.0},
    "fit, no uniform share": {"_SHARES": (0.0,)},
    "fit, almost no prior": {"_DEVIATION": 10.0, "_MEAN_SHARE": 10.0},
}


def held_out(answers: Answers) -> str:
    """Name the images that `fit` calibrates on."""
    return "out_of_fold" if "out_of_fold" in answers else "val"


def _variant(numbers: dict[str, Any]) -> Callable[[Answers], Calibration]:
    def fitted(answers: Answers) -> Calibration:
        with patch.multiple(calibrate, **numbers) if numbers else patch.dict({}):
            return fit_calibration("classification", *answers[held_out(answers)])

    return fitted


CALIBRATIONS: dict[str, Callable[[Answers], Calibration]] = {
    "temperature of validation (before)": lambda found: Calibration(fit_temperature("classification", *found["val"])),
    "temperature of the same images": lambda found: Calibration(
        fit_temperature("classification", *found[held_out(found)])
    ),
    **{name: _variant(numbers) for name, numbers in _VARIANTS.items()},
    "fit, on validation": lambda found: fit_calibration("classification", *found["val"]),
}


def _gaps(logits: Tensor, targets: Tensor, calibration: Calibration) -> Tensor:
    """Return confidence minus rightness of each image in the column of its bin, float64 (N, BINS)."""
    confidence, predicted = answers_of("classification", logits, calibration).max(dim=1)
    bins = F.one_hot((confidence * BINS).long().clamp(0, BINS - 1), BINS).double()
    return bins * (confidence.double() - (predicted == targets).double())[:, None]


def standard_error(logits: Tensor, targets: Tensor, calibration: Calibration) -> float:
    """Return the standard error of how much the calibration error changes, by resampling images."""
    count = len(targets)
    picked = torch.randint(0, count, (_RESAMPLES, count), generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(_RESAMPLES, count, dtype=torch.float64).scatter_add_(
        1, picked, torch.ones(_RESAMPLES, count, dtype=torch.float64)
    )
    both = [(weights @ _gaps(logits, targets, each)).abs().sum(1) / count for each in (calibration, AS_TRAINED)]
    return float((both[0] - both[1]).std())


def lines_of(path: Path, half: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a line for each calibration of one run."""
    scenario, candidate, seed = path.stem.rsplit("-", 2)
    answers: Answers = torch.load(path, weights_only=True)
    logits, targets = answers["test"]
    raw = reliability_of("classification", logits, targets, AS_TRAINED).ece
    for name, fitted in CALIBRATIONS.items():
        found = fitted(answers)
        on = "val" if "validation" in name else held_out(answers)
        probabilities = answers_of("classification", logits, found)
        yield {
            "scenario": scenario,
            "half": half[scenario],
            "candidate": candidate,
            "seed": int(seed),
            "calibration": name,
            "on": on,
            "images": len(answers[on][1]),
            "temperature": f"{found.temperature:.4f}",
            "uniform_share": found.uniform_share,
            "test_images": len(targets),
            "ece_raw": f"{raw:.5f}",
            "ece": f"{reliability_of('classification', logits, targets, found).ece:.5f}",
            "ece_change_se": f"{standard_error(logits, targets, found):.5f}",
            "loss_raw": f"{F.cross_entropy(logits, targets):.5f}",
            "loss": f"{F.nll_loss(probabilities.clamp_min(1e-30).log(), targets):.5f}",
        }


def row_of(lines: Sequence[dict[str, str]]) -> str:
    """Sum up the lines of one calibration."""
    raw, after, error = (
        torch.tensor([float(line[key]) for line in lines]) for key in ("ece_raw", "ece", "ece_change_se")
    )
    high = raw > 0.1
    worse = after - raw
    shares = [float((worse <= allowed).float().mean()) for allowed in (TOLERANCE, 0.0, 2 * error)]
    above = f"{int(high.sum())}: {raw[high].mean():.3f} -> {after[high].mean():.3f}" if high.any() else "none"
    words = " | ".join(f"{100 * share:.1f} %" for share in shares)
    return f"{len(lines)} | {words} | {worse.max():+.3f} | {raw.mean():.3f} -> {after.mean():.3f} | {above} |"


def main() -> None:
    """Write the lines, or sum them up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    root = parser.parse_args().root
    if root is not None:
        names = sorted(scenario.name for scenario in SCENARIOS)
        half = {name: _HALVES[number % 2] for number, name in enumerate(names)}
        with RESULTS.open("w", newline="") as file:
            writer: csv.DictWriter[str] | None = None
            for path in sorted(folder_of(root).glob("*.pt")):
                for line in lines_of(path, half):
                    if writer is None:
                        writer = csv.DictWriter(file, list(line), lineterminator="\n")
                        writer.writeheader()
                    writer.writerow(line)
    with RESULTS.open(newline="") as file:
        lines = list(csv.DictReader(file))
    solved = ("frozen", "tap")
    groups: dict[str, Callable[[dict[str, str]], bool]] = {
        "all": lambda line: True,
        "solved heads": lambda line: line["candidate"] in solved,
        "fine-tuned": lambda line: line["candidate"] not in solved,
        **{half: (lambda line, half=half: line["half"] == half) for half in _HALVES},  # type: ignore[misc]
    }
    print("| runs | calibration | n | not worse (0.005) | exactly | within 2 SE | worst | mean ECE | raw above 0.1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for group, belongs in groups.items():
        for name in CALIBRATIONS:
            chosen = [line for line in lines if line["calibration"] == name and belongs(line)]
            print(f"| {group} | {name} | {row_of(chosen)}")


if __name__ == "__main__":
    main()
